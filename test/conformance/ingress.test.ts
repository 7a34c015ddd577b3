import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/ingress.ts';

describeCorpus(judge);
