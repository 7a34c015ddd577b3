/** The proxy of the behaviour suite, collected at rest as the product's is. */
import '../test/behaviour/data-plane.ts';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { collectWhenIdle } from '../src/programs/process/idle-collector.ts';
import { trimNativeMemory } from '../src/proxy/io/native.ts';

// NODE_OPTIONS does not take --expose-gc, with which the product starts.
setFlagsFromString('--expose-gc');
globalThis.gc = runInNewContext('gc') as NonNullable<typeof globalThis.gc>;
collectWhenIdle(trimNativeMemory);
