/**
 * The canonical text of a Kubernetes quantity (`3000m` → `3`, `1024Mi` → `1Gi`); text that is none comes back as it is.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function canonicalQuantity(text: string): string {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/.exec(text);
  if (!match) return text;
  const [, sign, whole, fraction = '', suffix = ''] = match;
  const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
  if (binary.includes(suffix) && fraction === '') {
    let amount = BigInt(whole!);
    let power = binary.indexOf(suffix);
    while (amount !== 0n && amount % 1024n === 0n && power < binary.length - 1) {
      amount /= 1024n;
      power++;
    }
    return `${sign}${amount}${binary[power]}`;
  }
  if (binary.includes(suffix)) return text;
  const suffixes = ['m', '', 'k', 'M', 'G', 'T', 'P', 'E'];
  // Thousandths as an integer: the smallest unit quantities are written in.
  let amount = BigInt(whole! + fraction.padEnd(3, '0').slice(0, 3)) * 1000n ** BigInt(Math.max(0, suffixes.indexOf(suffix) - 1));
  if (suffix === 'm') amount = BigInt(whole!);
  let power = 0;
  while (amount !== 0n && amount % 1000n === 0n && power < suffixes.length - 1) {
    amount /= 1000n;
    power++;
  }
  return amount === 0n ? '0' : `${sign}${amount}${suffixes[power]}`;
}
