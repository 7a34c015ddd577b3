import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/istioctl.ts';

describeCorpus(judge);
