import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/inject.ts';

describeCorpus(judge);
