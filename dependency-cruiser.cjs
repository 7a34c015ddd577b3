// The door table of ARCHITECTURE.md, checked by `npm run doors` and by test/unit/doors.test.ts.
const DOORS = require('./scripts/doors.cjs');
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
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'], extensions: ['.ts', '.tsx', '.js', '.mjs', '.cjs'] },
  },
};
