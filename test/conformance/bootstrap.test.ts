import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/bootstrap.ts';

describeCorpus(judge);
