import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/analyze.ts';

describeCorpus(judge);
