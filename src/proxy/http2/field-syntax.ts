/** 1 for the characters of a field name: tokens without upper case. @see RFC 9113 section 8.2.1 */
const NAME_CHARACTER = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") NAME_CHARACTER[character.charCodeAt(0)] = 1;

const COLON = 58;

/** A field name as HTTP/2 carries it, or the shape of a pseudo field. */
export function isFieldName(name: string): boolean {
  const first = name.charCodeAt(0) === COLON ? 1 : 0;
  if (name.length === first) return false;
  for (let index = first; index < name.length; index++) if (NAME_CHARACTER[name.charCodeAt(index)] !== 1) return false;
  return true;
}

/** A field value that cannot end its line where HTTP/1 carries it on: no controls but tab, no white space around it. @see RFC 9113 section 8.2.1 */
export function isFieldValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    if ((code < 32 && code !== 9) || code === 127) return false;
  }
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(length - 1);
  return first !== 32 && first !== 9 && last !== 32 && last !== 9;
}
