// How many cores a proxy may use, and who said so.

/** Who decided; `nobody` leaves it to the data plane. */
export type ConcurrencySource = '--concurrency' | 'ProxyConfig' | 'CPU limit' | 'nobody';

/** Workers of a data plane. */
export interface Concurrency {
  /** 0 = as many as the machine has CPUs. */
  readonly workers: number;
  readonly source: ConcurrencySource;
}

/**
 * The flag is stronger than ProxyConfig, which is stronger than the container's CPU limit. As a flag 0 says nothing; in ProxyConfig it means every CPU of the
 * machine, limit or not. What is no whole number from 0 up says nothing either.
 * @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig
 */
export function resolveConcurrency(flag: string | undefined, configured: unknown, cpuLimit: string | undefined): Concurrency {
  const [fromFlag, fromConfig, fromLimit] = [wholeNumber(flag), wholeNumber(configured), wholeNumber(cpuLimit)];
  if (fromFlag !== undefined && fromFlag > 0) return { workers: fromFlag, source: '--concurrency' };
  if (fromConfig !== undefined) return { workers: fromConfig, source: 'ProxyConfig' };
  if (fromLimit !== undefined && fromLimit > 0) return { workers: fromLimit, source: 'CPU limit' };
  return { workers: 0, source: 'nobody' };
}

function wholeNumber(value: unknown): number | undefined {
  if (typeof value === 'string' ? !/^\d+$/.test(value) : typeof value !== 'number') return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** What a user who asked for more than our proxy does is told; undefined when one worker is what was asked for or all there is. Nobody asked by setting a CPU limit. */
export function oneCoreNotice({ workers, source }: Concurrency, cpus: number): string | undefined {
  if (source !== '--concurrency' && source !== 'ProxyConfig') return undefined;
  const wanted = workers === 0 ? cpus : workers;
  if (wanted <= 1) return undefined;
  return `concurrency ${workers} of ${source} asks for ${wanted} workers, but this data plane uses one core: run more pods, or take Envoy (meltemi up --data-plane envoy)`;
}
