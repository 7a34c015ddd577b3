import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/authz.ts';

describeCorpus(judge);
