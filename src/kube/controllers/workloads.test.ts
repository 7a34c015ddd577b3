import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NODE } from '../../objects/resource-types.ts';
import { kubectlMissing, startTestServer, type TestServer } from '../server/testing.ts';
import { startFakeKubelet, startTestControllers } from './testing.ts';

const missing = kubectlMissing();
if (missing) process.stderr.write(`skipped: workloads with kubectl, because ${missing}\n`);

describe.skipIf(missing)('workloads', () => {
  let server: TestServer;
  const removed: string[] = [];
  const ending = new AbortController();
  const kubectl = async (line: string, input?: string): Promise<string> => {
    const { stdout, stderr } = await server.kubectl(line.split(' '), input);
    return stdout + stderr;
  };
  const eventually = (line: string) => expect.poll(() => kubectl(line), { timeout: 10_000, interval: 50 });
  beforeAll(async () => {
    server = await startTestServer();
    startTestControllers(server, ending.signal, { path: (volume) => `/volumes/${volume}`, remove: (volume) => Promise.resolve(void removed.push(volume)) });
    startFakeKubelet(server, ending.signal);
    await server.client.create(NODE, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'one', labels: { disk: 'ssd' } } });
  });
  afterAll(async () => {
    ending.abort();
    await server.close();
  });

  const workload = (kind: string, spec: string, image = 'i:1'): string => `
apiVersion: apps/v1
kind: ${kind}
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  ${spec}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: '${image}', volumeMounts: [${kind === 'StatefulSet' ? '{name: data, mountPath: /data}' : ''}]}]}
`;
  const SET = `serviceName: web
  replicas: 3
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]`;

  test('StatefulSet: stable names, claims, updates from the last, scaling, undo', async () => {
    expect(await kubectl('apply -f -', workload('StatefulSet', SET))).toBe('statefulset.apps/web created\n');
    expect(await kubectl('rollout status sts/web --timeout=10s')).toContain('partitioned roll out complete: 3 new pods have been updated...');
    expect(await kubectl('get pods -l app=web -o name')).toBe('pod/web-0\npod/web-1\npod/web-2\n');
    expect(await kubectl('get pvc -o name')).toBe('persistentvolumeclaim/data-web-0\npersistentvolumeclaim/data-web-1\npersistentvolumeclaim/data-web-2\n');
    expect(await kubectl('get pod web-1 -o jsonpath={.spec.hostname}/{.spec.subdomain}/{.spec.volumes[0].persistentVolumeClaim.claimName}/{.metadata.labels.apps\\.kubernetes\\.io/pod-index}')).toBe('web-1/web/data-web-1/1');
    expect(await kubectl('get sts -o wide --no-headers')).toMatch(/^web +3\/3 +\d+s +c +i:1\n$/);
    await kubectl('set image sts/web c=i:2');
    await eventually('get pods -l app=web -o jsonpath={.items[*].spec.containers[0].image}').toBe('i:2 i:2 i:2');
    await eventually('get sts web -o jsonpath={.status.updatedReplicas}').toBe('3');
    expect(await kubectl('rollout history sts/web')).toMatch(/1 +<none>\n2 +<none>/);
    expect(await kubectl('rollout undo sts/web')).toContain('rolled back');
    await eventually('get pods -l app=web -o jsonpath={.items[*].spec.containers[0].image}').toBe('i:1 i:1 i:1');
    await kubectl('scale sts/web --replicas=1');
    await eventually('get pods -l app=web -o name').toBe('pod/web-0\n');
    expect(await kubectl('patch sts web -p {"spec":{"serviceName":"other"}}')).toContain("updates to statefulset spec for fields other than 'replicas'");
    await kubectl('delete pod web-0');
    await eventually('get pods -l app=web -o name').toBe('pod/web-0\n');
    await kubectl('delete sts web');
    await eventually('get pods -l app=web -o name').toBe('');
    await eventually('get controllerrevisions -o name').toBe('');
  }, 40_000);

  test('DaemonSet: a pod on every node that fits, replaced on change', async () => {
    await kubectl('apply -f -', workload('DaemonSet', ''));
    expect(await kubectl('rollout status ds/web --timeout=10s')).toContain('daemon set "web" successfully rolled out');
    expect(await kubectl('get ds --no-headers')).toMatch(/^web +1 +1 +1 +1 +1 +<none> +\d+s\n$/);
    await kubectl('set image ds/web c=i:2');
    await eventually('get pods -l app=web -o jsonpath={.items[*].spec.containers[0].image}').toBe('i:2');
    await kubectl('patch ds web -p {"spec":{"template":{"spec":{"nodeSelector":{"disk":"hdd"}}}}}');
    await eventually('get ds web -o jsonpath={.status.desiredNumberScheduled}{.status.currentNumberScheduled}').toBe('00');
    await kubectl('label node one disk=hdd --overwrite');
    await eventually('get ds web -o jsonpath={.status.numberReady}').toBe('1');
    await kubectl('delete ds web');
    await eventually('get pods -l app=web -o name').toBe('');
  }, 20_000);

  test('Job: runs to completion, fails, indexes, cleans up', async () => {
    expect(await kubectl('create job once --image=i -- true')).toBe('job.batch/once created\n');
    expect(await kubectl('wait --for=condition=complete job/once --timeout=10s')).toContain('condition met');
    expect(await kubectl('get job once --no-headers')).toMatch(/^once +Complete +1\/1 +\d+s +\d+s\n$/);
    expect(await kubectl('get pods -l job-name=once -o jsonpath={.items[*].status.phase}')).toBe('Succeeded');
    // Both happen within a second, in which kubectl may list them either way.
    await eventually('describe job once').toMatch(/Normal +SuccessfulCreate +\d+s +job-controller +Created pod: once-[a-z0-9]+\n/);
    await eventually('describe job once').toMatch(/Normal +Completed +\d+s +job-controller +Job completed/);
    const yaml = (name: string, spec: string, labels = '') => `apiVersion: batch/v1\nkind: Job\nmetadata: {name: ${name}}\nspec: {${spec}, template: {metadata: {labels: {${labels}}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n`;
    await kubectl('apply -f -', yaml('many', 'completions: 4, parallelism: 2, completionMode: Indexed, ttlSecondsAfterFinished: 4'));
    await eventually('get job many -o jsonpath={.status.completedIndexes}').toBe('0-3');
    await eventually('get job many').toContain('not found');
    await kubectl('apply -f -', yaml('bad', 'backoffLimit: 0', 'fail: please'));
    expect(await kubectl('wait --for=condition=failed job/bad --timeout=10s')).toContain('condition met');
    expect(await kubectl('get job bad -o jsonpath={.status.conditions[-1].reason}')).toBe('BackoffLimitExceeded');
    expect(await kubectl('apply -f -', yaml('always', 'backoffLimit: 0').replace('Never', 'Always'))).toContain('spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"');
    await kubectl('delete job once');
    await eventually('get pods -l job-name=once -o name').toBe('');
  }, 30_000);

  test('CronJob: makes jobs by hand and by the clock', async () => {
    expect(await kubectl('create cronjob tick --image=i --schedule=*/1_*_*_*_* -- true'.replaceAll('_', ' ')).then(() => server.kubectl(['create', 'cronjob', 'tick', '--image=i', '--schedule=*/1 * * * *', '--', 'true']))).toMatchObject({ stdout: 'cronjob.batch/tick created\n' });
    expect(await kubectl('get cronjob tick --no-headers')).toMatch(/^tick +\*\/1 \* \* \* \* +<none> +False +0 +<none> +\d+s\n$/);
    expect(await kubectl('create job by-hand --from=cronjob/tick')).toBe('job.batch/by-hand created\n');
    await eventually('get job by-hand -o jsonpath={.status.succeeded}').toBe('1');
    // A minute ago it should have run.
    await kubectl(`patch cronjob tick --subresource=status --type=merge -p {"status":{"lastScheduleTime":"${new Date(Date.now() - 120_000).toISOString().slice(0, 19)}Z"}}`);
    await kubectl('annotate cronjob tick a=b');
    await eventually('get jobs -o jsonpath={.items[*].metadata.annotations.batch\\.kubernetes\\.io/cronjob-scheduled-timestamp}').toMatch(/^\d{4}-/);
    expect((await server.kubectl(['create', 'cronjob', 'no', '--image=i', '--schedule=61 * * * *'])).stderr).toContain('spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61');
    await kubectl('delete cronjob tick');
    await eventually('get jobs -o name').not.toContain('tick');
  }, 30_000);

  test('PodDisruptionBudget counts, and holds evictions', async () => {
    await kubectl('apply -f -', workload('Deployment', 'replicas: 2'));
    await eventually('describe deploy web').toMatch(/Normal +ScalingReplicaSet +\d+s +deployment-controller +Scaled up replica set web-[a-z0-9]+ from 0 to 2/);
    await kubectl('create pdb web --selector=app=web --min-available=2');
    await eventually('get pdb web --no-headers').toMatch(/^web +2 +N\/A +0 +/);
    const evict = async () => {
      const name = (await kubectl('get pods -l app=web -o jsonpath={.items[0].metadata.name}'));
      return server.fetch(`/api/v1/namespaces/default/pods/${name}/eviction`, { method: 'POST', body: JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } }), headers: { 'content-type': 'application/json' } });
    };
    expect(await evict()).toMatchObject({ status: 429, body: expect.stringContaining('The disruption budget web needs 2 healthy pods and has 2 currently') });
    await kubectl('patch pdb web --type=merge -p {"spec":{"minAvailable":1}}');
    await eventually('get pdb web -o jsonpath={.status.disruptionsAllowed}').toBe('1');
    expect((await evict()).status).toBe(201);
    await eventually('get deploy web -o jsonpath={.status.readyReplicas}').toBe('2');
    expect(await kubectl('drain one --ignore-daemonsets --delete-emptydir-data --timeout=10s')).toContain('node/one cordoned');
    await kubectl('delete deploy,pdb --all');
  }, 20_000);

  test('claims get a folder, keep it while pods use it, and take it along', async () => {
    const claim = (name: string, more = '') => `apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: ${name}}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}${more}}\n`;
    await eventually('get sc --no-headers').toMatch(/^standard \(default\) +meltemi.dev\/local-path +Delete +Immediate/);
    await kubectl('apply -f -', claim('disk'));
    await eventually('get pvc disk --no-headers').toMatch(/^disk +Bound +pvc-[0-9a-f-]+ +1Gi +RWO +standard +<unset> +\d+s\n$/);
    const volume = await kubectl('get pvc disk -o jsonpath={.spec.volumeName}');
    expect(await kubectl('get pv --no-headers')).toMatch(new RegExp(`${volume} +1Gi +RWO +Delete +Bound +default/disk +standard`));
    await kubectl('apply -f -', 'apiVersion: v1\nkind: Pod\nmetadata: {name: user}\nspec: {containers: [{name: c, image: i}], volumes: [{name: v, persistentVolumeClaim: {claimName: disk}}]}\n');
    await kubectl('delete pvc disk --wait=false');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await kubectl('get pvc disk --no-headers')).toMatch(/^disk +Terminating/);
    await kubectl('delete pod user');
    await eventually('get pvc disk').toContain('not found');
    await expect.poll(() => removed).toContain(volume);
    // A volume somebody made, for a class nobody serves.
    await kubectl('apply -f -', claim('manual', ', storageClassName: manual'));
    expect(await kubectl('get pvc manual -o jsonpath={.status.phase}')).toBe('Pending');
    await kubectl('apply -f -', 'apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: hand}\nspec: {capacity: {storage: 5Gi}, accessModes: [ReadWriteOnce], storageClassName: manual, hostPath: {path: /srv}}\n');
    await eventually('get pvc manual -o jsonpath={.status.phase}/{.spec.volumeName}/{.status.capacity.storage}').toBe('Bound/hand/5Gi');
    await kubectl('delete pvc manual');
    await eventually('get pv hand -o jsonpath={.status.phase}').toBe('Released');
    expect(removed).not.toContain('hand');
  }, 20_000);
});
