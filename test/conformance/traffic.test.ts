import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/traffic.ts';

describeCorpus(judge);
