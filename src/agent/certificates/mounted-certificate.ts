// A workload certificate that another system puts into the pod and renews.
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { Watchable } from '../../base/watchable.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { watchFiles } from './watched-file.ts';
import type { WorkloadCertificate, WorkloadCertificates } from './workload-certificate.ts';

const log = createLogger('cache');

/** Follows `cert-chain.pem`, `key.pem` and `root-cert.pem` of a folder. */
export class MountedCertificate implements WorkloadCertificates {
  readonly certificate = new Watchable<WorkloadCertificate | undefined>(undefined);
  readonly lastError = new Watchable<string | undefined>(undefined);
  private stop: () => void = () => {};

  constructor(private readonly directory: string) {}

  start(): Promise<void> {
    this.lastError.set(`${this.directory} does not hold cert-chain.pem, key.pem and root-cert.pem`);
    this.stop = watchFiles(['cert-chain.pem', 'key.pem', 'root-cert.pem'].map((file) => join(this.directory, file)), ([chainPem = '', privateKeyPem = '', rootPem = '']) => {
      try {
        const { notBeforeMs, notAfterMs } = parseCertificate(chainPem);
        this.certificate.set({ chainPem, privateKeyPem, rootPem, notBeforeMs, notAfterMs });
        this.lastError.set(undefined);
        log.info('using the mounted workload certificate', { directory: this.directory, until: new Date(notAfterMs).toISOString() });
      } catch (thrown) {
        this.lastError.set(`${join(this.directory, 'cert-chain.pem')}: ${messageOf(thrown)}`);
        log.warn('the mounted workload certificate cannot be read', { error: messageOf(thrown) });
      }
    });
    return Promise.resolve();
  }

  checkAgainst(): void {
    // Whoever mounts it renews it.
  }

  close(): void {
    this.stop();
  }
}
