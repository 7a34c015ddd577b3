// The door table of ARCHITECTURE.md as data. Read by dependency-cruiser.cjs, which enforces it.
/** Room → the rooms it may import. `test/unit/doors.test.ts` compares it with the table in ARCHITECTURE.md. */
module.exports = {
  base: [],
  identity: ['base'],
  objects: ['base'],
  kube: ['base', 'identity', 'objects'],
  model: ['base', 'identity'],
  resolve: ['base', 'identity', 'objects', 'model'],
  xds: ['base', 'identity'],
  translate: ['base', 'identity', 'model', 'xds'],
  proxy: ['base', 'identity', 'xds', 'telemetry'],
  agent: ['base', 'identity', 'xds', 'telemetry'],
  telemetry: ['base', 'identity'],
  analysis: ['base', 'objects', 'model', 'resolve', 'xds', 'translate'],
  admission: ['base', 'identity', 'objects', 'analysis'],
  local: ['base', 'objects', 'kube'],
  install: ['base', 'objects', 'kube'],
  console: ['base', 'objects', 'telemetry', 'analysis'],
  cli: ['base', 'identity', 'objects', 'kube', 'model', 'resolve', 'xds', 'translate', 'agent', 'telemetry', 'analysis', 'admission', 'local', 'install', 'console'],
  programs: ['base', 'identity', 'objects', 'kube', 'model', 'resolve', 'xds', 'translate', 'proxy', 'agent', 'telemetry', 'analysis', 'admission', 'local', 'install', 'console', 'cli'],
};
