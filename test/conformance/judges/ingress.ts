// The ingress corpus: Kubernetes Ingresses → Istio Gateways and VirtualServices, and the table of which Ingress is handled.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '../../../src/objects/meta.ts';
import { convertIngresses } from '../../../src/resolve/ingress/convert.ts';
import { ingressSettings, isOurIngress } from '../../../src/resolve/ingress/settings.ts';
import { readYaml } from '../corpus.ts';
import { fail, type Judge, notBuilt, PASS, type Verdict } from '../judge.ts';
import { sameConfigs } from './gateway-api.ts';

interface IngressCase {
  readonly input?: string;
  readonly domainSuffix?: string;
  readonly ingressControllerMode?: string;
  readonly ingressClass?: string;
  readonly ingressSelector?: string;
  readonly ingressService?: string;
  readonly cluster?: readonly string[];
  readonly expectedConfig?: string;
}

export const judge: Judge = {
  corpus: 'ingress',
  run: async (caseDir, caseJson) => {
    const data = caseJson as IngressCase;
    if (data.input === undefined || data.expectedConfig === undefined) return judgeTable(caseDir, caseJson as Readonly<Record<string, unknown>>);
    const objects = [data.input, ...(data.cluster ?? [])].flatMap((file) => readYaml<KubeObject>(join(caseDir, file)));
    const groupKindOf = ({ apiVersion, kind }: KubeObject) => `${apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''}/${kind}`;
    const { ingressControllerMode, ingressClass, ingressSelector, ingressService } = data;
    const converted = convertIngresses({
      ofKind: (groupKind) => objects.filter((object) => groupKindOf(object) === groupKind), domainSuffix: data.domainSuffix ?? 'cluster.local',
      settings: ingressSettings({ ingressControllerMode, ingressClass, ingressSelector, ingressService }, 'istio-system'),
    });
    return sameConfigs([...converted.gateways, ...converted.virtualServices], readYaml<KubeObject>(join(caseDir, data.expectedConfig)));
  },
};

interface Row {
  readonly mode: string;
  readonly annotation?: string;
  readonly controller?: string;
  readonly handled: boolean;
}

/** Rows of (mode, annotation, controller of the class) → handled or not, wherever the case keeps them. */
function judgeTable(caseDir: string, data: Readonly<Record<string, unknown>>): Verdict {
  const held = Object.values(data).find((value) => Array.isArray(value)) ?? tableFile(caseDir, data);
  if (!Array.isArray(held)) return notBuilt('an ingress case without input and without a table');
  const wrong = (held as readonly Readonly<Record<string, unknown>>[]).map(rowOf).filter(({ mode, annotation, controller, handled }) => {
    const settings = ingressSettings({ ingressControllerMode: mode, ingressClass: 'istio' }, 'istio-system');
    return isOurIngress(settings, annotation || undefined, controller || undefined) !== handled;
  });
  return wrong.length === 0 ? PASS : fail(`${wrong.length} rows differ, first ${JSON.stringify(wrong[0])}`);
}

function tableFile(caseDir: string, data: Readonly<Record<string, unknown>>): unknown {
  const name = Object.values(data).find((value) => typeof value === 'string' && value.endsWith('.json'));
  return name === undefined ? undefined : (JSON.parse(readFileSync(join(caseDir, name as string), 'utf8')) as unknown);
}

/** The columns by what they hold: a mode, a truth, and two texts. */
function rowOf(row: Readonly<Record<string, unknown>>): Row {
  const text = (pattern: RegExp) => Object.entries(row).find(([key, value]) => pattern.test(key) && typeof value === 'string')?.[1] as string | undefined;
  return {
    mode: text(/mode/i) ?? '', annotation: text(/annotation|^class$/i) ?? '', controller: text(/controller$|ingressClass$/i) ?? '',
    handled: Object.values(row).find((value): value is boolean => typeof value === 'boolean') ?? false,
  };
}
