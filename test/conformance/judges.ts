// The judges there are. A corpus without one fails as a whole: "not built yet".
import type { Judge } from './judge.ts';
import { judge as analyze } from './judges/analyze.ts';
import { judge as authz } from './judges/authz.ts';
import { judge as bootstrap } from './judges/bootstrap.ts';
import { judge as gatewayApi } from './judges/gateway-api.ts';
import { judge as ingress } from './judges/ingress.ts';
import { judge as inject } from './judges/inject.ts';
import { judge as iptables } from './judges/iptables.ts';
import { judge as istioctl } from './judges/istioctl.ts';
import { judge as nftables } from './judges/nftables.ts';
import { judge as traffic } from './judges/traffic.ts';
import { judge as validation } from './judges/validation.ts';

export const JUDGES: readonly Judge[] = [analyze, authz, bootstrap, gatewayApi, ingress, inject, iptables, istioctl, nftables, traffic, validation];
