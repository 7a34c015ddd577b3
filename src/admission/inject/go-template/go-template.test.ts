import { describe, expect, test } from 'vitest';
import { INJECTION_FUNCTIONS } from './functions.ts';
import { parseGoTemplate } from './parse.ts';
import { renderGoTemplate } from './render.ts';

const data = {
  ObjectMeta: { name: 'web', labels: { app: 'web', 'a/b': 'c' }, annotations: { note: 'hi' } },
  Spec: { containers: [{ name: 'one', ports: [{ containerPort: 80 }] }, { name: 'two' }], serviceAccountName: 'me' },
  Values: { global: { hub: 'h', tag: 1, list: [], off: false }, empty: '' },
};
const render = (text: string): string => renderGoTemplate(parseGoTemplate(text), data, INJECTION_FUNCTIONS);

describe('renderGoTemplate', () => {
  test.each([
    ['plain', 'plain'],
    ['{{ .ObjectMeta.Name }}', 'web'],
    ['{{ .Spec.ServiceAccountName }}', 'me'],
    ['{{index .ObjectMeta.Labels "a/b"}} {{ index .ObjectMeta.Labels `app` }}', 'c web'],
    ['{{ .Values.global.missing }}', '<no value>'],
    ['{{- /* nothing */ -}} x', 'x'],
    ['a  {{- " b " -}}  c', 'a b c'],
    ['{{ if .Values.global.list }}yes{{ else if .Values.global.hub }}hub{{ else }}no{{ end }}', 'hub'],
    ['{{ if and .Values.global.hub (not .Values.global.off) }}y{{ end }}', 'y'],
    ['{{ if or (eq .Values.global.tag 1 2) .Values.none.deep }}y{{ end }}', 'y'],
    ['{{ range $i, $c := .Spec.Containers }}{{ if $i }},{{ end }}{{ $c.Name }}{{ range .Ports }}:{{ .ContainerPort }}{{ end }}{{ end }}', 'one:80,two'],
    ['{{ range .Values.global.list }}x{{ else }}none{{ end }}', 'none'],
    ['{{ range $k, $v := .ObjectMeta.Labels }}{{ $k }}={{ $v }};{{ end }}', 'a/b=c;app=web;'],
    ['{{ with .Values.global }}{{ .hub }}{{ $.ObjectMeta.Name }}{{ end }}', 'hweb'],
    ['{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ end }}{{ $x }}', 'b'],
    ['{{ .Values.empty | default "d" | quote }}', '"d"'],
    ['{{ annotation .ObjectMeta `note` "x" }} {{ annotation .ObjectMeta `other` 3 }}', 'hi 3'],
    ['{{ valueOrDefault .Values.empty "z" }}{{ isset .ObjectMeta.Annotations `note` }}', 'ztrue'],
    ['{{ toYaml .Spec.Containers | indent 2 }}', '  - name: one\n    ports:\n      - containerPort: 80\n  - name: two'],
    ['{{ define "t" }}[{{ . }}]{{ end }}{{ template "t" .ObjectMeta.Name }}', '[web]'],
    ['{{ printf "%s-%d%%" "a" 3 }}{{ len .Spec.Containers }}', 'a-3%2'],
    ['{{ $l := list }}{{ range .Spec.Containers }}{{ $l = append $l .Name }}{{ end }}{{ join "," $l }}', 'one,two'],
    ['{{ "}}" }}', '}}'],
    ['{{ (index .Spec.Containers 0).Name }}', 'one'],
    ['{{ .constructor }}{{ index .Values "__proto__" }}', '<no value><no value>'],
  ])('%s', (text, expected) => expect(render(text)).toBe(expected));

  test.each([
    ['{{ if .x }}', /end is missing/],
    ['{{ end }}', /unexpected \{\{end\}\}/],
    ['a\n{{ nope . }}', /"nope" is not defined/],
    ['{{ $x }}', /undefined variable \$x/],
    ['{{ template "x" }}', /"x" is not defined/],
    ['{{ "abc }}', /unclosed action|unexpected text/],
    ['{{ (1 }}', /parenthesis/],
    ['{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}', /too deeply/],
  ])('%s is refused with a sentence', (text, message) => expect(() => render(text)).toThrow(message));
});

describe('more functions of sprig', () => {
  test.each([
    ['{{ trunc 3 "abcdef" }}', 'abc'],
    ['{{ trunc -2 "abcdef" }}', 'ef'],
    ['{{ kindOf (list 1) }} {{ kindIs "string" "x" }}', 'slice true'],
    ['{{ join "," (sortAlpha (list "b" "a")) }}', 'a,b'],
    ['{{ trimAll "-" "--a-b-" }}', 'a-b'],
    ['{{ last (list 1 2) }}{{ len (rest (list 1 2 3)) }}', '22'],
    ['{{ regexMatch "^a.c$" "abc" }}', 'true'],
  ])('%s', (template, expected) => expect(renderGoTemplate(parseGoTemplate(template), {}, INJECTION_FUNCTIONS)).toBe(expected));
});
