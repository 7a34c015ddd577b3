// Generates src/xds/gen from Envoy's protos (shipped inside @grpc/grpc-js-xds) and from our overlay in proto/. Nothing generated is committed.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';

const root = join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');
const staging = join(root, 'build/protos');
const out = join(root, 'src/xds/gen');

/** Message and service roots; buf prunes everything they do not reach, which keeps a sidecar's memory small. */
const types = readFileSync(join(root, 'proto/types.txt'), 'utf8').split('\n').map((l) => l.replace(/#.*/, '').trim()).filter(Boolean);

const stamp = createHash('sha256').update(JSON.stringify(types)).update(readFileSync(import.meta.filename));
for (const file of readdirSync(join(root, 'proto'), { recursive: true }).sort()) {
  const path = join(root, 'proto', file);
  if (statSync(path).isFile()) stamp.update(file).update(readFileSync(path));
}
stamp.update(readFileSync(join(dirname(deps), 'package.json')));
const digest = stamp.digest('hex');
const stampFile = join(out, '.stamp');
if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === digest) process.exit(0);

rmSync(staging, { recursive: true, force: true });
mkdirSync(staging, { recursive: true });
const copy = (from, to) => cpSync(from, join(staging, to), { recursive: true, filter: (src) => statSync(src).isDirectory() ? !/\/v2(alpha\d?)?$|\/api\/v2/.test(src) : src.endsWith('.proto') });
copy(join(deps, 'envoy-api/envoy'), 'envoy');
copy(join(deps, 'xds/xds'), 'xds');
copy(join(deps, 'xds/udpa'), 'udpa');
for (const part of ['rpc/status.proto', 'api/annotations.proto', 'api/http.proto', 'api/expr']) copy(join(deps, 'googleapis/google', part), join('google', part));
copy(join(deps, 'protoc-gen-validate/validate'), 'validate');
for (const gone of ['envoy/config/trace/v3/opencensus.proto', 'envoy/config/trace/v3/trace.proto', 'envoy/service/trace', 'envoy/service/metrics', 'envoy/extensions/access_loggers/open_telemetry', 'envoy/api'])
  rmSync(join(staging, gone), { recursive: true, force: true });
copy(join(root, 'proto'), '.');
// The bundled validate.proto predates `ignore_empty`, which some Envoy files use.
const validate = join(staging, 'validate/validate.proto');
let text = readFileSync(validate, 'utf8').replace(/\r\n/g, '\n');
const numbers = { StringRules: 26, BytesRules: 14, RepeatedRules: 5, MapRules: 6 };
text = text.replace(/message (\w+Rules) \{\n([\s\S]*?)\n\}/g, (whole, name, body) =>
  /ignore_empty/.test(body) ? whole : numbers[name] ? `message ${name} {\n${body}\n  optional bool ignore_empty = ${numbers[name]};\n}`
  : /^(Float|Double|Int32|Int64|UInt32|UInt64|SInt32|SInt64|Fixed32|Fixed64|SFixed32|SFixed64)Rules$/.test(name) ? `message ${name} {\n${body}\n  optional bool ignore_empty = 8;\n}` : whole);
writeFileSync(validate, text);

writeFileSync(join(staging, 'buf.yaml'), 'version: v2\nmodules:\n  - path: .\n');
const template = join(root, 'build/buf.gen.yaml');
writeFileSync(template, JSON.stringify({
  version: 'v2', clean: true,
  // Rules and annotations of other validators are options nobody here reads; every sidecar would carry their descriptors.
  inputs: [{ directory: staging, types, exclude_types: ['validate.rules', 'validate.required', 'validate.disabled', 'udpa.annotations', 'xds.annotations.v3', 'envoy.annotations'] }],
  plugins: [{ local: join(root, 'node_modules/.bin/protoc-gen-es'), out, strategy: 'all', include_imports: true, include_wkt: false, opt: ['target=ts', 'import_extension=ts'] }],
}));
execFileSync(join(root, 'node_modules/.bin/buf'), ['generate', '--template', template], { cwd: root, stdio: 'inherit' });
// Every file in one list, so that the JSON registry (src/xds/registry.ts) knows each type without a list kept by hand.
const files = readdirSync(out, { recursive: true }).filter((file) => file.endsWith('_pb.ts')).sort();
const nameIn = (file) => /export const (file_\w+): GenFile/.exec(readFileSync(join(out, file), 'utf8'))[1];
const names = files.map(nameIn);
writeFileSync(join(out, 'files.ts'), `${files.map((file, i) => `import { ${names[i]} } from './${file}';`).join('\n')}\n\nexport const GENERATED_FILES = [${names.join(', ')}];\n`);
writeFileSync(stampFile, digest);
