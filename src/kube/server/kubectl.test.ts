import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS } from '../../objects/registry.ts';
import { CUSTOM_RESOURCE_DEFINITION, POD } from '../../objects/resource-types.ts';
import { crdOf } from './api/crd.ts';
import { kubectlMissing, startTestServer, type TestServer } from './testing.ts';

const APP = `
apiVersion: v1
kind: Service
metadata: {name: reviews, labels: {app: reviews}}
spec: {ports: [{port: 9080, name: http}], selector: {app: reviews}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, labels: {app: reviews, version: v1}}
spec:
  replicas: 1
  selector: {matchLabels: {app: reviews, version: v1}}
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec: {containers: [{name: reviews, image: 'reviews:1', env: [{name: A, value: "1"}], ports: [{containerPort: 9080}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}]}]}
`;
const POD_YAML = (name: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: x}}\nspec: {containers: [{name: a, image: a}, {name: b, image: 'b:1'}]}\n`;

const missing = kubectlMissing();
if (missing) process.stderr.write(`skipped: kubectl against the API server, because ${missing}\n`);

describe.skipIf(missing)('kubectl', () => {
  let server: TestServer;
  const ok = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await server.kubectl(args, input);
    expect(`${code} ${stderr}`, args.join(' ')).toMatch(/^0 (Warning|$|Defaulted)/);
    return stdout;
  };
  const fails = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stderr } = await server.kubectl(args, input);
    expect(code, args.join(' ')).not.toBe(0);
    return stderr;
  };

  beforeAll(async () => {
    const logs = {
      async *open(namespace: string, pod: string, options: { container: string }) {
        yield Buffer.from(`${namespace}/${pod}/${options.container}: one\n`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield Buffer.from('two\n');
      },
    };
    server = await startTestServer({ logs });
    for (const info of KINDS.filter((one) => one.custom)) await server.client.apply(CUSTOM_RESOURCE_DEFINITION, crdOf(info), { fieldManager: 'install' });
  });
  afterAll(() => server.close());

  test('discovers resources by short name and category', async () => {
    const resources = await ok(['api-resources', '--no-headers']);
    for (const line of ['pods                                po ', 'virtualservices                     vs ', 'deployments                         deploy ']) expect(resources).toMatch(new RegExp(line.replaceAll(/ +/g, ' +')));
    expect(await ok(['version'])).toContain('Server Version: v1.32');
  });

  test('applies, applies again, shows and explains', async () => {
    expect(await ok(['apply', '-f', '-'], APP)).toBe('service/reviews created\ndeployment.apps/reviews-v1 created\nvirtualservice.networking.istio.io/reviews created\n');
    expect(await ok(['apply', '-f', '-'], APP)).toBe('service/reviews unchanged\ndeployment.apps/reviews-v1 unchanged\nvirtualservice.networking.istio.io/reviews unchanged\n');
    expect(await ok(['apply', '-f', '-'], APP.replace('"1"', '"2"'))).toContain('deployment.apps/reviews-v1 configured');
    const table = await ok(['get', 'svc,deploy,vs', '-o', 'wide']);
    expect(table).toMatch(/NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\nservice\/reviews +ClusterIP +10\.96\.\d+\.\d+ +<none> +9080\/TCP +\d+s +app=reviews\n/);
    expect(table).toMatch(/NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR\ndeployment.apps\/reviews-v1 +0\/1 +0 +0 +\d+s +reviews +reviews:1 +app=reviews,version=v1/);
    expect(table).toMatch(/NAME +GATEWAYS +HOSTS +AGE\nvirtualservice.networking.istio.io\/reviews +\["reviews"\] +\d+s/);
    expect(await ok(['get', 'virtualservices.v1alpha3.networking.istio.io', 'reviews', '-o', 'jsonpath={.apiVersion}'])).toBe('networking.istio.io/v1alpha3');
    expect(await ok(['explain', 'vs.spec.http.route'])).toContain('destination\t<Object> -required-');
    expect(await ok(['describe', 'deploy', 'reviews-v1'])).toMatch(/A: +2/);
  });

  test('scales, labels, annotates, patches and sets', async () => {
    await ok(['scale', 'deploy/reviews-v1', '--replicas=3']);
    await ok(['label', 'deploy/reviews-v1', 'team=a']);
    await ok(['annotate', 'deploy/reviews-v1', 'note=b']);
    await ok(['patch', 'deploy', 'reviews-v1', '-p', '{"spec":{"template":{"spec":{"containers":[{"name":"reviews","env":[{"name":"B","value":"3"}]}]}}}}']);
    await ok(['patch', 'deploy', 'reviews-v1', '--type=json', '-p', '[{"op":"replace","path":"/spec/replicas","value":2}]']);
    await ok(['patch', 'vs', 'reviews', '--type=merge', '-p', '{"spec":{"hosts":["reviews","other"]}}']);
    await ok(['set', 'image', 'deploy/reviews-v1', 'reviews=reviews:2']);
    expect(await ok(['get', 'deploy', 'reviews-v1', '-o', 'jsonpath={.spec.replicas} {.metadata.labels.team} {.metadata.annotations.note} {.spec.template.spec.containers[0].env[*].name} {.spec.template.spec.containers[0].image}'])).toBe('2 a b A B reviews:2');
    expect(await fails(['patch', 'vs', 'reviews', '--type=strategic', '-p', '{}'])).toContain('is not supported by networking.istio.io/v1');
  });

  test('applies on the server, with conflicts', async () => {
    const yaml = (image: string): string => APP.split('---')[1]!.replaceAll('reviews-v1', 'ssa').replace('reviews:1', image);
    expect(await ok(['apply', '--server-side', '-f', '-'], yaml('i:1'))).toBe('deployment.apps/ssa serverside-applied\n');
    await ok(['scale', 'deploy/ssa', '--replicas=4']);
    expect(await fails(['apply', '--server-side', '-f', '-'], yaml('i:1'))).toContain('Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas');
    await ok(['apply', '--server-side', '--force-conflicts', '-f', '-'], yaml('i:2'));
    expect(await ok(['get', 'deploy', 'ssa', '-o', 'jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}'])).toBe('1 i:2');
    expect(await fails(['apply', '--server-side', '--field-manager=other', '-f', '-'], yaml('i:3'))).toContain('conflict with "kubectl": .spec.template.spec.containers[name="reviews"].image');
  });

  test('creates what kubectl sends in protobuf', async () => {
    await ok(['create', 'namespace', 'made']);
    await ok(['-n', 'made', 'create', 'configmap', 'c', '--from-literal=a=b']);
    await ok(['-n', 'made', 'create', 'secret', 'generic', 's', '--from-literal=a=b']);
    await ok(['-n', 'made', 'create', 'serviceaccount', 'default']);
    await ok(['-n', 'made', 'create', 'deployment', 'd', '--image=nginx', '--replicas=0', '--port=80']);
    await ok(['-n', 'made', 'create', 'service', 'nodeport', 'n', '--tcp=80:8080']);
    await ok(['-n', 'made', 'create', 'ingress', 'i', '--rule=a.b/c*=n:80']);
    expect(await ok(['-n', 'made', 'get', 'cm/c', 'secret/s', '-o', 'jsonpath={.items[*].data.a}'])).toBe('b Yg==');
    expect(await ok(['-n', 'made', 'get', 'svc', 'n', '-o', 'jsonpath={.spec.ports[0].targetPort} {.spec.ports[0].nodePort}'])).toMatch(/^8080 3[0-2]\d{3}$/);
    expect((await ok(['-n', 'made', 'create', 'token', 'default'])).split('.')).toHaveLength(3);
  });

  test('tells who one is and what one may do', async () => {
    expect(await ok(['auth', 'can-i', 'delete', 'pods'])).toBe('yes\n');
    expect(await ok(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username} {.status.userInfo.groups[0]}'])).toBe('kubernetes-admin system:masters');
  });

  test('says what is wrong', async () => {
    expect(await fails(['apply', '-f', '-'], APP.replace('replicas:', 'replicaz:'))).toContain('strict decoding error: unknown field "spec.replicaz"');
    expect(await fails(['apply', '-f', '-'], APP.replace('hosts: [reviews]', 'hosts: reviews'))).toContain('spec.hosts: Invalid value');
    expect(await fails(['create', '-f', '-'], APP)).toContain('Error from server (AlreadyExists): error when creating "STDIN": services "reviews" already exists');
    expect(await fails(['get', 'pod', 'nope'])).toBe('Error from server (NotFound): pods "nope" not found\n');
    expect(await fails(['get', 'pods', '--field-selector=spec.nope=1'])).toContain('field label not supported: spec.nope');
    expect(await fails(['-n', 'nowhere', 'create', 'configmap', 'x'])).toContain('namespaces "nowhere" not found');
    expect(await fails(['apply', '-f', '-'], POD_YAML('Bad_Name'))).toContain('Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain');
    expect(await fails(['apply', '-f', '-'], APP.replace('labels: {app: reviews, version: v1}}\n    spec', 'labels: {app: other}}\n    spec').replaceAll('reviews-v1', 'mismatch'))).toContain('`selector` does not match template `labels`');
    await ok(['apply', '-f', '-', '--validate=warn', '--dry-run=server'], APP.replace('replicas:', 'replicaz:'));
  });

  test('prints logs, follows them, and asks for a container', async () => {
    await ok(['apply', '-f', '-'], POD_YAML('logs'));
    expect(await ok(['logs', 'logs', '-c', 'b'])).toBe('default/logs/b: one\ntwo\n');
    expect(await ok(['logs', '-f', 'logs'])).toBe('default/logs/a: one\ntwo\n');
    expect((await server.fetch('/api/v1/namespaces/default/pods/logs/log')).body).toContain('a container name must be specified for pod logs, choose one of: [a b]');
  });

  test('follows a rollout and waits for conditions', async () => {
    const status = { status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{ type: 'Available', status: 'True' }] } };
    await ok(['apply', '-f', '-'], APP.split('---')[1]!.replaceAll('reviews-v1', 'rolling'));
    const rollout = server.kubectl(['rollout', 'status', 'deploy/rolling', '--timeout=10s']);
    const wait = server.kubectl(['wait', '--for=condition=Available', 'deploy/rolling', '--timeout=10s']);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await ok(['patch', 'deploy', 'rolling', '--subresource=status', '--type=merge', '-p', JSON.stringify(status)]);
    expect(await rollout).toMatchObject({ code: 0, stdout: expect.stringContaining('deployment "rolling" successfully rolled out') });
    expect(await wait).toMatchObject({ code: 0 });
  });

  test('deletes with grace, waits for it, and deletes collections', async () => {
    await ok(['apply', '-f', '-'], POD_YAML('graceful'));
    await server.client.mergePatch(POD, 'graceful', 'default', { spec: { nodeName: 'n' } });
    const deletion = server.kubectl(['delete', 'pod', 'graceful']);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await ok(['get', 'pod', 'graceful', '--no-headers'])).toMatch(/Terminating/);
    await server.client.delete(POD, 'graceful', 'default', { gracePeriodSeconds: 0 });
    expect(await deletion).toMatchObject({ code: 0, stdout: 'pod "graceful" deleted\n' });
    await ok(['apply', '-f', '-'], POD_YAML('left'));
    await ok(['delete', 'pods', '--all', '--force', '--grace-period=0']);
    expect(await ok(['get', 'pods', '-o', 'name'])).toBe('');
    await ok(['delete', '-f', '-'], APP);
    expect(await fails(['get', 'svc', 'reviews'])).toContain('not found');
  });

  test('stops serving a deleted definition and removes its objects', async () => {
    const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, required: [size], properties: {size: {type: integer, minimum: 1}, colour: {type: string, default: red}}}}}}
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}, {name: Colour, type: string, jsonPath: .spec.colour, priority: 1}]
`;
    await ok(['apply', '-f', '-'], crd);
    await ok(['wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=5s']);
    const widget = (spec: string): string => `apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: ${spec}\n`;
    expect(await fails(['apply', '-f', '-'], widget('{}'))).toContain('spec.size: Required value');
    expect(await fails(['apply', '-f', '-'], widget('{size: 0}'))).toContain('spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1');
    await ok(['apply', '-f', '-'], widget('{size: 2}'));
    await ok(['scale', 'wd/w', '--replicas=5']);
    expect(await ok(['get', 'wd', '-o', 'wide', '--no-headers'])).toMatch(/^w +5 +red\n$/);
    await ok(['delete', 'crd', 'widgets.example.com']);
    expect(await fails(['get', 'widgets'])).toMatch(/the server (doesn't have a resource type|could not find the requested resource)/);
  });

  test('checks the rules of a definition, with what was before', async () => {
    const crd = (rule: string): string => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gadgets, kind: Gadget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations: [{rule: "${rule}"}]
            properties:
              min: {type: integer}
              max: {type: integer}
              colour: {type: string, x-kubernetes-validations: [{rule: self == oldSelf, message: colour is immutable}]}
`;
    expect(await fails(['apply', '-f', '-'], crd('self.min <'))).toContain('spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value: "self.min <": compilation failed');
    await ok(['apply', '-f', '-'], crd('self.min <= self.max'));
    const gadget = (spec: string): string => `apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}\nspec: ${spec}\n`;
    expect(await fails(['apply', '-f', '-'], gadget('{min: 2, max: 1}'))).toContain('The Gadget "g" is invalid: spec: Invalid value: "object": failed rule: self.min <= self.max');
    await ok(['apply', '-f', '-'], gadget('{min: 1, max: 2, colour: red}'));
    expect(await fails(['apply', '-f', '-'], gadget('{min: 1, max: 2, colour: blue}'))).toContain('spec.colour: Invalid value: "string": colour is immutable');
    await ok(['delete', 'crd', 'gadgets.example.com']);
  });
});
