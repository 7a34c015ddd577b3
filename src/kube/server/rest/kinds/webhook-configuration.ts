import { at, listAt, own, textAt } from '../../json.ts';
import { duplicate, forbiddenField, invalidValue, notSupported, required, type Cause } from '../../status.ts';
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
      // CEL is not evaluated here, and a condition that is passed over would call the webhook too often.
      if (listAt(webhook, 'matchConditions').length > 0) causes.push(forbiddenField(`${path}.matchConditions`, 'this server does not evaluate match conditions'));
      return causes;
    });
  },
};
