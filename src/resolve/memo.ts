/** What was read of objects that did not change since: an object is read again only when it is another one. */
import type { Issue } from '../base/issue.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Service } from '../model/service.ts';
import type { Workload } from '../model/workload.ts';
import type { KubeObject } from '../objects/meta.ts';
import type { ResolveContext } from './context.ts';

interface Reading {
  readonly context: string;
  readonly extra: unknown;
  readonly value: unknown;
  readonly issues: readonly Issue[];
}

interface EndpointReading {
  readonly from: readonly unknown[];
  /** Addresses that were looked up, and what was found. */
  readonly workloads: ReadonlyMap<string, Workload | undefined>;
  readonly endpoints: readonly Endpoint[];
}

/** Where a reader finds the workload of an address. */
export type Workloads = Pick<ReadonlyMap<string, Workload>, 'get'>;

/**
 * Kept from one {@link resolve} to the next. Objects must never be changed in place: a changed object is another object. Results are the same objects as
 * before, so that what is made of them can be kept by identity.
 */
export class ResolveMemo {
  private readonly readings = new WeakMap<KubeObject, Reading>();
  private readonly lists = new Map<string, readonly unknown[]>();
  private readonly derived = new Map<string, { readonly from: readonly unknown[]; readonly value: unknown }>();
  private endpointReadings = new Map<string, EndpointReading>();
  private freshReadings = new Map<string, EndpointReading>();

  /** What `read` gives for the object, with the issues it reports. `extra` is all it depends on beside the object and the context, by identity. */
  read<T>(context: ResolveContext, object: KubeObject, extra: unknown, read: () => T | undefined): T | undefined {
    const key = `${context.mesh.digest} ${context.configDomainSuffix}`;
    const known = this.readings.get(object);
    if (known && known.context === key && known.extra === extra) {
      context.issues.push(...known.issues);
      return known.value as T | undefined;
    }
    const before = context.issues.length;
    const value = read();
    this.readings.set(object, { context: key, extra, value, issues: context.issues.slice(before) });
    return value;
  }

  /** The list of that name as it was, if all its elements are the same. */
  stable<T>(name: string, list: readonly T[]): readonly T[] {
    const before = this.lists.get(name) as readonly T[] | undefined;
    if (before && sameList(before, list)) return before;
    this.lists.set(name, list);
    return list;
  }

  /** What was made of a list, made again when it is another one. */
  of<T>(name: string, from: readonly unknown[], make: () => T): T {
    const known = this.derived.get(name);
    if (known && sameList(known.from, from)) return known.value as T;
    const value = make();
    this.derived.set(name, { from, value });
    return value;
  }

  /** Endpoints of a service, made of `from` and of the workloads that `make` looks up. */
  endpoints(service: Service, from: readonly unknown[], workloads: ReadonlyMap<string, Workload>, make: (workloads: Workloads) => readonly Endpoint[]): readonly Endpoint[] {
    let reading = this.endpointReadings.get(service.key);
    if (!reading || !sameList(reading.from, [service, ...from]) || !sameWorkloads(reading.workloads, workloads)) {
      const asked = new Map<string, Workload | undefined>();
      const endpoints = make({
        get(address) {
          const workload = workloads.get(address);
          asked.set(address, workload);
          return workload;
        },
      });
      reading = { from: [service, ...from], workloads: asked, endpoints };
    }
    this.freshReadings.set(service.key, reading);
    return reading.endpoints;
  }

  /** A resolve is over: services it did not name are forgotten. */
  finish(): void {
    this.endpointReadings = this.freshReadings;
    this.freshReadings = new Map();
  }
}

function sameWorkloads(asked: ReadonlyMap<string, Workload | undefined>, workloads: ReadonlyMap<string, Workload>): boolean {
  for (const [address, workload] of asked) if (workloads.get(address) !== workload) return false;
  return true;
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
