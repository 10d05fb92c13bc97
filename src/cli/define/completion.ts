/** The command `kubewalk completion`, and the hidden `complete` that its scripts call. */
import { type Command, Argument } from "commander";
import type { Host } from "./shared.ts";

const HELP = `
Examples:
  source <(kubewalk completion bash)
  kubewalk completion zsh > "\${fpath[1]}/_kubewalk"
  kubewalk completion fish > ~/.config/fish/completions/kubewalk.fish

kubectl packet-walk is completed by kubectl itself, with kubectl_complete-packet_walk in PATH.
`;

export function completionCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("completion")
    .summary("print a script that completes words in a shell")
    .description("Prints a script by which a shell completes the words of this command.")
    .addArgument(new Argument("<shell>", "shell").choices(["bash", "zsh", "fish"]))
    .addHelpText("after", HELP)
    .action(async (shell: string) => {
      const { printScript } = await import("../commands/completion.ts");
      done(await printScript(shell, host.io));
    });
  program
    .command("complete", { hidden: true })
    .description("Prints what the last of these words can become.")
    .argument("[words...]")
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const { printCompletions } = await import("../commands/completion.ts");
      done(await printCompletions(program, words, host.io));
    });
}
