import type { SpecObject } from '../meta.ts';
import { NODE } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, bool, int, int64, list, map, obj, quantity, req, str, time, type Infer } from '../schema/dsl.ts';

const spec = obj({
  podCIDR: str(),
  podCIDRs: list(str(), { set: true, merge: true }),
  providerID: str(),
  unschedulable: bool(),
  taints: list(obj({ key: req(str()), value: str(), effect: req(str()), timeAdded: time() }), { atomic: true }),
  configSource: anyObject(),
  externalID: str(),
});
const status = obj({
  capacity: map(quantity()),
  allocatable: map(quantity()),
  phase: str(),
  conditions: list(
    obj({ type: req(str()), status: req(str()), lastHeartbeatTime: time(), lastTransitionTime: time(), reason: str(), message: str() }),
    { mapKeys: ['type'] },
  ),
  addresses: list(obj({ type: req(str()), address: req(str()) }), { mapKeys: ['type'] }),
  daemonEndpoints: obj({ kubeletEndpoint: obj({ Port: req(int()) }) }),
  nodeInfo: obj({
    machineID: str(),
    systemUUID: str(),
    bootID: str(),
    kernelVersion: str(),
    osImage: str(),
    containerRuntimeVersion: str(),
    kubeletVersion: str(),
    kubeProxyVersion: str(),
    operatingSystem: str(),
    architecture: str(),
    swap: obj({ capacity: int64() }),
  }),
  images: list(obj({ names: list(str(), { atomic: true }), sizeBytes: int64() }), { atomic: true }),
  volumesInUse: list(str(), { atomic: true }),
  volumesAttached: list(obj({ name: req(str()), devicePath: req(str()) }), { atomic: true }),
  config: anyObject(),
  runtimeHandlers: list(anyObject(), { atomic: true }),
  features: anyObject(),
});

/** A machine that runs pods. @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/ */
export type Node = SpecObject<Infer<typeof spec>, Infer<typeof status>>;

export const NODE_KIND = defineKind(NODE, { shortNames: ['no'], status: true, fields: { spec, status } });
