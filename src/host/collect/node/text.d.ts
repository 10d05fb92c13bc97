/** Texts that are bundled as they are: the shell script and its archiver. */
declare module "*.sh" {
  const text: string;
  export default text;
}

declare module "*.awk" {
  const text: string;
  export default text;
}
