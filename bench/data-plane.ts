/** The proxy of the behaviour suite, collected at rest as the product's is. */
import '../test/behaviour/data-plane.ts';
import { collectWhenIdle } from '../src/programs/process/idle-collector.ts';
import { trimNativeMemory } from '../src/proxy/io/native.ts';

collectWhenIdle(trimNativeMemory);
