/** What istiod's environment turns on or off in Gateway API. Names and defaults are Istio's. */
export interface GatewayApiFeatures {
  /** `PILOT_ENABLE_ALPHA_GATEWAY_API`: TCP and TLS listeners, ListenerSets. Ours is on by default: TCP and TLS routes are stable now. */
  readonly alphaApi: boolean;
  /** `PILOT_ENABLE_AMBIENT_WAYPOINTS`: class `istio-waypoint`. */
  readonly waypoints: boolean;
  /** `AMBIENT_ENABLE_MULTI_NETWORK`: class `istio-east-west`. */
  readonly ambientMultiNetwork: boolean;
  /** `PILOT_MULTI_NETWORK_DISCOVER_GATEWAY_API`: class `istio-remote`. */
  readonly multiNetwork: boolean;
  /** `PILOT_ENABLE_AGENTGATEWAY`: class `istio-agentgateway`. */
  readonly agentGateway: boolean;
  /** `ENABLE_GATEWAY_API_MANUAL_DEPLOYMENT`: a Gateway with a Hostname address uses an existing deployment. */
  readonly manualDeployment: boolean;
  /** `ENABLE_GATEWAY_API_INFERENCE_EXTENSION`: InferencePool backends. */
  readonly inferenceExtension: boolean;
  /** `PILOT_GATEWAY_API_CONTROLLER_NAME`. */
  readonly controllerName: string;
  /** `PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME`. */
  readonly defaultClass: string;
}

/** The features of an istiod without any of these variables set. */
export const DEFAULT_FEATURES: GatewayApiFeatures = {
  alphaApi: true, waypoints: false, ambientMultiNetwork: false, multiNetwork: true, agentGateway: false, manualDeployment: true, inferenceExtension: false,
  controllerName: 'istio.io/gateway-controller', defaultClass: 'istio',
};

/** Features as an istiod with this environment has them. */
export function featuresOf(env: Readonly<Record<string, string | undefined>>): GatewayApiFeatures {
  const flag = (name: string, fallback: boolean) => (env[name] === undefined || env[name] === '' ? fallback : env[name] === 'true' || env[name] === '1');
  return {
    alphaApi: flag('PILOT_ENABLE_ALPHA_GATEWAY_API', DEFAULT_FEATURES.alphaApi),
    waypoints: flag('PILOT_ENABLE_AMBIENT_WAYPOINTS', flag('PILOT_ENABLE_AMBIENT', DEFAULT_FEATURES.waypoints)),
    ambientMultiNetwork: flag('AMBIENT_ENABLE_MULTI_NETWORK', DEFAULT_FEATURES.ambientMultiNetwork),
    multiNetwork: flag('PILOT_MULTI_NETWORK_DISCOVER_GATEWAY_API', DEFAULT_FEATURES.multiNetwork),
    agentGateway: flag('PILOT_ENABLE_AGENTGATEWAY', DEFAULT_FEATURES.agentGateway),
    manualDeployment: flag('ENABLE_GATEWAY_API_MANUAL_DEPLOYMENT', DEFAULT_FEATURES.manualDeployment),
    inferenceExtension: flag('ENABLE_GATEWAY_API_INFERENCE_EXTENSION', DEFAULT_FEATURES.inferenceExtension),
    controllerName: env['PILOT_GATEWAY_API_CONTROLLER_NAME'] || DEFAULT_FEATURES.controllerName,
    defaultClass: env['PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME'] || DEFAULT_FEATURES.defaultClass,
  };
}
