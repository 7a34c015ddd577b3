import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/iptables.ts';

describeCorpus(judge);
