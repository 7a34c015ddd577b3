/** `matchConditions` of webhooks: expressions over the request that must all be true for a webhook to be called. */
import { messageOf } from '../../../base/errors.ts';
import { listAt, textAt } from '../json.ts';
import { Compiler } from './environment.ts';
import { largestPart, toCel } from './values.ts';

const compiler = new Compiler(['object', 'oldObject', 'request']);

/** What is wrong with an expression; undefined when nothing is. */
export function checkCondition(expression: string): string | undefined {
  const compiled = compiler.compile(expression);
  return typeof compiled === 'string' ? compiled : undefined;
}

/**
 * Whether all conditions of a webhook hold. `request` is the request part of its AdmissionReview.
 * @returns an error text when one could not be evaluated and none is false
 */
export function conditionsHold(webhook: unknown, request: Readonly<Record<string, unknown>>): boolean | string {
  const conditions = listAt(webhook, 'matchConditions');
  if (conditions.length === 0) return true;
  const { object, oldObject, ...rest } = request;
  const variables = { object: toCel(object ?? null), oldObject: toCel(oldObject ?? null), request: toCel(rest) };
  const size = Math.max(largestPart(variables.object), largestPart(variables.oldObject));
  let error: string | undefined;
  for (const condition of conditions) {
    const compiled = compiler.compile(textAt(condition, 'expression'));
    try {
      if (typeof compiled === 'string') throw new Error(compiled);
      const result = compiled.evaluate(variables, size);
      if (result === false) return false;
      if (result !== true) throw new Error('must evaluate to bool');
    } catch (thrown) {
      error ??= `match condition '${textAt(condition, 'name')}': ${messageOf(thrown).split('\n')[0]}`;
    }
  }
  return error ?? true;
}
