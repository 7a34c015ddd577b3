// OUTPUT_CERTS: a copy of the workload's certificate for programs that read files.
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { WorkloadCertificate, WorkloadCertificates } from './workload-certificate.ts';

const log = createLogger('cache');

/**
 * Writes every new certificate to `cert-chain.pem`, `key.pem` and `root-cert.pem` of a folder, mode 0600, each replaced at once.
 * `pkcs8`: the key's format; otherwise PKCS#1 or SEC 1, as Istio's agent writes them. Returns how to stop.
 */
export function writeCertificates(workload: WorkloadCertificates, directory: string, pkcs8: boolean): () => void {
  return workload.certificate.watch((certificate) => {
    if (!certificate) return;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const files = { 'key.pem': keyText(certificate, pkcs8), 'cert-chain.pem': certificate.chainPem, 'root-cert.pem': certificate.rootPem };
      for (const [name, text] of Object.entries(files)) {
        writeFileSync(join(directory, `.${name}.new`), text, { mode: 0o600 });
        renameSync(join(directory, `.${name}.new`), join(directory, name));
      }
    } catch (thrown) {
      log.warn('the certificate could not be written', { directory, error: messageOf(thrown) });
    }
  });
}

function keyText({ privateKeyPem }: WorkloadCertificate, pkcs8: boolean): string {
  if (pkcs8) return privateKeyPem;
  const key = createPrivateKey(privateKeyPem);
  return key.export({ format: 'pem', type: key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1' }) as string;
}
