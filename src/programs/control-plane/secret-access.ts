/** Which accounts may list the secrets of their namespace, as the API server's roles say: only their proxies are given keys by name. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { parseSpiffeId } from '../../identity/spiffe.ts';
import type { KubeClient } from '../../kube/client/client.ts';

const log = createLogger('sds');

/** Roles change: an answer is asked again after this time, a failure sooner. */
const RECHECK_MS = 60_000;
const RETRY_MS = 2000;

interface SubjectAccessReview {
  readonly status?: { readonly allowed?: boolean };
}

export interface SecretAccessOptions {
  readonly client: Pick<KubeClient, 'post'>;
  readonly clock: Clock;
  /** Whether a proxy of this identity is still there: nobody else is asked about again. */
  readonly isConnected: (spiffeId: string) => boolean;
}

/** Answers at once with what is known; what is not known is refused until the API server has answered. */
export class SecretAccess {
  private readonly answers = new Map<string, boolean>();
  private readonly listeners: ((spiffeId: string) => void)[] = [];

  constructor(private readonly options: SecretAccessOptions) {}

  /** Asks the API server when the identity is new. */
  mayList(spiffeId: string): boolean {
    const known = this.answers.get(spiffeId);
    if (known === undefined) {
      this.answers.set(spiffeId, false);
      void this.ask(spiffeId);
    }
    return known ?? false;
  }

  /** Calls back when the answer for an identity became another one. */
  onChange(listener: (spiffeId: string) => void): void {
    this.listeners.push(listener);
  }

  private async ask(spiffeId: string): Promise<void> {
    let againMs = RECHECK_MS;
    try {
      const allowed = await this.review(spiffeId);
      if (allowed !== this.answers.get(spiffeId)) {
        this.answers.set(spiffeId, allowed);
        for (const listener of this.listeners) listener(spiffeId);
      } else if (!allowed) log.warn('a proxy asks for secrets its account may not list', { account: spiffeId });
    } catch (error) {
      // The last answer stays: a gateway that serves must not lose its keys to an API server that restarts.
      againMs = RETRY_MS;
      log.warn('the API server could not be asked about access to secrets', { account: spiffeId, error: messageOf(error) });
    }
    this.options.clock.after(againMs, () => {
      if (this.options.isConnected(spiffeId)) void this.ask(spiffeId);
      else this.answers.delete(spiffeId);
    });
  }

  private async review(spiffeId: string): Promise<boolean> {
    const identity = parseSpiffeId(spiffeId);
    if (!identity) return false;
    const { namespace, serviceAccount } = identity;
    const spec = {
      user: `system:serviceaccount:${namespace}:${serviceAccount}`, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
      resourceAttributes: { verb: 'list', group: '', resource: 'secrets', namespace },
    };
    const { status } = await this.options.client.post<SubjectAccessReview>('/apis/authorization.k8s.io/v1/subjectaccessreviews', { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata: {}, spec });
    return status?.allowed === true;
  }
}
