/** Collects what is wrong with one object. */
import type { Issue, ObjectReference } from '../../../base/issue.ts';

/** Code of a refusal, as Istio's analyzers number it: SchemaValidationError. */
const INVALID = 'IST0106';
/** Code of a deprecated field. */
const DEPRECATED = 'IST0002';
/** Code of a questionable but valid setting. */
const QUESTIONABLE = 'MLT0001';

export class Findings {
  readonly issues: Issue[] = [];

  constructor(private readonly object: ObjectReference) {}

  /** Refuses the object. */
  error(path: string, message: string, fix?: string): void {
    this.add('error', INVALID, path, message, fix);
  }

  /** Valid, but hardly meant. `code` is the analyzer's when there is one. */
  warn(path: string, message: string, fix?: string, code = QUESTIONABLE): void {
    this.add('warning', code, path, message, fix);
  }

  deprecated(path: string, message: string, fix?: string): void {
    this.add('warning', DEPRECATED, path, message, fix);
  }

  /** Adds an error when there is a problem to tell. */
  problem(path: string, message: string | undefined, fix?: string): void {
    if (message !== undefined) this.error(path, message, fix);
  }

  private add(severity: Issue['severity'], code: string, path: string, message: string, fix: string | undefined): void {
    this.issues.push({ severity, code, object: this.object, path, message, ...(fix === undefined ? {} : { fix }) });
  }
}
