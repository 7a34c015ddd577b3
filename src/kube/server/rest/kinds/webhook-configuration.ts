import { at, listAt, own, textAt } from '../../json.ts';
import { duplicate, invalidValue, notSupported, required, type Cause } from '../../status.ts';
import { checkCondition } from '../../cel/match-conditions.ts';
import { checkName } from '../names.ts';
import type { Strategy } from '../strategy.ts';

/** Webhook configurations: what cannot be called is refused when it is written, not when it is needed. */
export const WEBHOOK_STRATEGY: Strategy = {
  generation: true,
  validate(draft) {
    const names = new Set<string>();
    return listAt(draft, 'webhooks').flatMap((webhook, index) => {
      const path = `webhooks[${index}]`;
      const name = textAt(webhook, 'name');
      const causes: Cause[] = [...checkName(name, 'subdomain', `${path}.name`)];
      if (name.split('.').length < 3) causes.push(invalidValue(`${path}.name`, name, 'should be a domain with at least three segments separated by dots'));
      if (names.has(name)) causes.push(duplicate(`${path}.name`, name));
      names.add(name);
      const url = at(webhook, 'clientConfig', 'url');
      if ((url === undefined) === (at(webhook, 'clientConfig', 'service') === undefined)) causes.push(required(`${path}.clientConfig`, 'exactly one of url or service is required'));
      if (typeof url === 'string' && (!URL.canParse(url) || !url.startsWith('https://'))) causes.push(invalidValue(`${path}.clientConfig.url`, url, "'https' is the only allowed URL scheme"));
      const effects = textAt(webhook, 'sideEffects');
      if (effects !== 'None' && effects !== 'NoneOnDryRun') causes.push(notSupported(`${path}.sideEffects`, effects, ['None', 'NoneOnDryRun']));
      const seconds = own(webhook, 'timeoutSeconds');
      if (typeof seconds === 'number' && (seconds < 1 || seconds > 30)) causes.push(invalidValue(`${path}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'));
      if (!listAt(webhook, 'admissionReviewVersions').includes('v1')) causes.push(invalidValue(`${path}.admissionReviewVersions`, listAt(webhook, 'admissionReviewVersions'), 'must include at least one of v1'));
      causes.push(...checkConditions(listAt(webhook, 'matchConditions'), `${path}.matchConditions`));
      return causes;
    });
  },
};

const MAX_CONDITIONS = 64;

function checkConditions(conditions: readonly unknown[], path: string): Cause[] {
  if (conditions.length > MAX_CONDITIONS) return [{ reason: 'FieldValueTooMany', message: `Too many: ${conditions.length}: must have at most ${MAX_CONDITIONS} items`, field: path }];
  const names = new Set<string>();
  return conditions.flatMap((condition, index) => {
    const [name, expression] = [textAt(condition, 'name'), textAt(condition, 'expression')];
    const causes: Cause[] = [];
    if (name === '') causes.push(required(`${path}[${index}].name`));
    else if (names.has(name)) causes.push(duplicate(`${path}[${index}].name`, name));
    names.add(name);
    const wrong = expression.trim() === '' ? undefined : checkCondition(expression);
    if (expression.trim() === '') causes.push(required(`${path}[${index}].expression`));
    else if (wrong !== undefined) causes.push(invalidValue(`${path}[${index}].expression`, expression, `compilation failed: ${wrong}`));
    return causes;
  });
}
