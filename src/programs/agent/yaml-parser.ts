/** Loaded when settings are YAML. A file of its own, because the bundled package has no named exports for `import()`. */
export { parse as parseYaml } from 'yaml';
