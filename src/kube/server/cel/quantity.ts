/** Amounts of resources as Kubernetes writes them: `500m`, `1Gi`, `2e3`. @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */

const QUANTITY = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,3})?$/;
const EXPONENTS: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Whether a text is an amount. */
export function isQuantity(text: string): boolean {
  return QUANTITY.test(text);
}

/** An amount. Throws for a text that is none. */
export class Quantity {
  readonly value: number;

  constructor(readonly text: string) {
    const match = QUANTITY.exec(text);
    if (!match) throw new Error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    const [, digits = '', suffix = ''] = match;
    const binary = BINARY.indexOf(suffix);
    if (binary >= 0) this.value = Number(digits) * 1024 ** (binary + 1);
    else if (/^[eE][+-]?\d/.test(suffix)) this.value = Number(`${digits}${suffix}`);
    // Written as an exponent, so that 0.1 and 100m are the same number.
    else this.value = Number(`${digits}e${EXPONENTS[suffix] ?? 0}`);
  }
}

/** -1, 0 or 1. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return Math.sign(a.value - b.value);
}
