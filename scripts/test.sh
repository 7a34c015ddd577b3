#!/usr/bin/env bash
# Everything CI runs: setup, build, types, lint, doors, unit and conformance tests, end to end. The last line is "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
failed=0; passed=0; skipped=0
step() { # name, command…
  local name=$1 from=$SECONDS; shift
  echo; echo "== $name"
  if "$@"; then echo "-- $name: ok ($((SECONDS - from)) s)"; passed=$((passed + 1)); else echo "-- $name: FAILED ($((SECONDS - from)) s)"; failed=$((failed + 1)); fi
}
count() { # result file written by a suite: {passed, failed, skipped}
  [ -f "$1" ] || return 0
  read -r p f s < <(node -e 'const r=JSON.parse(require("fs").readFileSync(process.argv[1])); console.log(r.numPassedTests??r.passed??0, r.numFailedTests??r.failed??0, (r.numPendingTests??r.skipped??0)+(r.numTodoTests??0))' "$1")
  passed=$((passed + p)); failed=$((failed + f)); skipped=$((skipped + s))
}
rm -rf build/results; mkdir -p build/results
step setup bash scripts/setup.sh --with-envoy --with-old-kubectl
step build node scripts/build.mjs
step types node node_modules/typescript-7/bin/tsc -p tsconfig.json
step "types of pure rooms" node node_modules/typescript-7/bin/tsc -p tsconfig.pure.json
step lint oxlint --type-aware -c oxlint.json src test scripts samples bench
step doors depcruise --config dependency-cruiser.cjs src
step "unit and conformance tests" vitest run --reporter=default --reporter=json --outputFile.json=build/results/unit.json
count build/results/unit.json
step behaviour node test/behaviour/run.mjs --json build/results/behaviour.json
count build/results/behaviour.json
step "behaviour of random meshes" node test/behaviour/run.mjs --soak 10s
if [ -f test/e2e/run.mjs ]; then
  step "end to end" node test/e2e/run.mjs --json build/results/e2e.json
  count build/results/e2e.json
fi
echo
[ "$skipped" -gt 0 ] && echo "skipped: $skipped cases; each says why above"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
