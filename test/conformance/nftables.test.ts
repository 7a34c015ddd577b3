import { describeCorpus } from './describe-corpus.ts';
import { judge } from './judges/nftables.ts';

describeCorpus(judge);
