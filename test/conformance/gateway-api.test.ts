import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/gateway-api.ts';

describeCorpus(judge);
