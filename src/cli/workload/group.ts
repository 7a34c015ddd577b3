/** `x workload group create`: a WorkloadGroup from flags. */
import { stringify } from 'yaml';

export interface WorkloadGroupFlags {
  readonly name: string;
  readonly namespace: string;
  /** `key=value` each; a part without `=` is a key without value. */
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  /** `name=number` each. */
  readonly ports: readonly string[];
  readonly serviceAccount: string;
  /** Share of requests, 0 = not set. */
  readonly weight: number;
}

/** YAML with sorted keys, as istioctl prints it. Throws when a port is no number. */
export function workloadGroupYaml(flags: WorkloadGroupFlags): string {
  const [labels, annotations] = [pairs(flags.labels), pairs(flags.annotations)];
  const ports = Object.fromEntries(Object.entries(pairs(flags.ports)).map(([name, number]) => {
    if (!/^\d{1,5}$/.test(number)) throw new Error(`port ${name}=${number}: "${number}" is not a number; write name=number, e.g. http=8080`);
    return [name, Number(number)];
  }));
  const group = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadGroup',
    metadata: { name: flags.name, namespace: flags.namespace },
    spec: {
      metadata: { ...notEmpty('annotations', annotations), ...notEmpty('labels', labels) },
      template: { ...notEmpty('ports', ports), serviceAccount: flags.serviceAccount, ...(flags.weight > 0 && { weight: flags.weight }) },
    },
  };
  return stringify(group, { lineWidth: 0, sortMapEntries: true });
}

/** Lists of flags, each of which may hold several, separated by commas. */
export function listOption(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, ...value.split(',')];
}

function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const at = text.indexOf('=');
    return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  }));
}

function notEmpty(name: string, map: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.keys(map).length > 0 ? { [name]: map } : {};
}
