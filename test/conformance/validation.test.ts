import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/validation.ts';

describeCorpus(judge);
