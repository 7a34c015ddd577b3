// The door table of ARCHITECTURE.md, checked by `npm run doors` and by test/unit/doors.test.ts.
/** Room → the rooms it may import. `test/unit/doors.test.ts` compares it with the table in ARCHITECTURE.md. */
const DOORS = {
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
const rooms = Object.keys(DOORS);
const doorRules = rooms.map((room) => ({
  name: `door-${room}`,
  comment: `${room} may import only: ${DOORS[room].join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: `^src/(${rooms.filter((r) => r !== room && !DOORS[room].includes(r)).join('|')})/` },
}));
/** Rooms without sockets, files or processes (stage table, column "pure"). */
const PURE = 'objects|model|resolve|translate|analysis';

module.exports = {
  DOORS,
  forbidden: [
    ...doorRules,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { pathNot: '^src/xds/gen/' } } },
    { name: 'pure-rooms-no-node', severity: 'error', from: { path: `^src/(${PURE})/`, pathNot: '\\.test\\.ts$' }, to: { dependencyTypes: ['core'] } },
    { name: 'filters-do-not-know-each-other', severity: 'error',
      from: { path: '^src/(proxy|translate)/filters/([^/]+)/' }, to: { path: '^src/$1/filters/[^/]+/', pathNot: '^src/$1/filters/$2/' } },
    { name: 'sockets-only-where-they-live', severity: 'error',
      from: { path: '^src/', pathNot: '(^src/(proxy/io|proxy/admin|xds/server|xds/client|kube|agent|local|telemetry|programs|cli)/)|\\.test\\.ts$' },
      to: { path: '^(net|tls|http|https|http2|dgram)$' } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules|^src/xds/gen/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.js', '.mjs', '.cjs'] },
  },
};
