#include "cli/cli.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const MnkCommand *const COMMANDS[] = {
    &mnk_command_caption,  &mnk_command_ask,    &mnk_command_serve,  &mnk_command_send,
    &mnk_command_captions, &mnk_command_search, &mnk_command_keys,   &mnk_command_models,
    &mnk_command_doctor,   &mnk_command_docs,   &mnk_command_worker, &mnk_command_indexer,
};

static const MnkCommand *find_command(const char *name) {
  for (guint i = 0; i < G_N_ELEMENTS(COMMANDS); i++)
    if (g_str_equal(COMMANDS[i]->name, name))
      return COMMANDS[i];
  return NULL;
}

static void print_overview(FILE *out) {
  fputs("manako watches video and writes captions with true times.\n\n"
        "Usage: manako COMMAND [OPTIONS] [ARGUMENTS]\n\n"
        "Commands\n",
        out);
  for (guint i = 0; i < G_N_ELEMENTS(COMMANDS); i++)
    if (!COMMANDS[i]->hidden)
      fprintf(out, "  %-10s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
  fputs("\n`manako COMMAND --help` tells the command's options; `manako --version` the version.\n\n"
        "Example: manako caption video.mp4\n",
        out);
}

static void append_wrapped(GString *out, const char *text, guint width) {
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  guint column = 0;
  for (guint i = 0; words[i] != NULL; i++) {
    guint length = (guint)g_utf8_strlen(words[i], -1);
    if (column > 0 && column + 1 + length > width) {
      g_string_append_c(out, '\n');
      column = 0;
    } else if (column > 0) {
      g_string_append_c(out, ' ');
      column++;
    }
    g_string_append(out, words[i]);
    column += length;
  }
  g_string_append_c(out, '\n');
}

static void print_help(const MnkCommand *command) {
  guint width = mnk_terminal_width(STDOUT_FILENO);
  g_autoptr(GString) out = g_string_new(NULL);
  g_string_append_printf(out, "Usage: manako %s [OPTIONS]%s%s\n\n%s.\n\n", command->name,
                         command->arguments[0] != '\0' ? " " : "", command->arguments,
                         command->summary);
  if (command->details != NULL) {
    append_wrapped(out, command->details, width);
    g_string_append_c(out, '\n');
  }
  mnk_options_write_help(out, command->set, width);
  fputs(out->str, stdout);
}

static gboolean asks_for_help(int argc, char *const *argv) {
  for (int i = 0; i < argc && !g_str_equal(argv[i], "--"); i++)
    if (g_str_equal(argv[i], "--help") || g_str_equal(argv[i], "-h"))
      return TRUE;
  return FALSE;
}

static gboolean run_command(const MnkInvocation *invocation, GError **error) {
  const MnkCommand *command = invocation->command;
  g_autoptr(MnkSettings) settings = NULL;
  g_auto(GStrv) rest = NULL;
  if (!mnk_cli_load(invocation, &settings, &rest, error))
    return FALSE;
  mnk_log_set_level((MnkLogLevel)mnk_settings_int(settings, MNK_OPT_LOG_LEVEL));
  return command->serve != NULL ? command->serve(settings, rest, invocation, error)
                                : command->run(settings, rest, error);
}

int main(int argc, char **argv) {
  g_autoptr(GError) error = NULL;
  setlocale(LC_CTYPE, "");
  if (argc < 2) {
    print_overview(stderr);
    return mnk_error_code_exit(MNK_ERROR_USAGE);
  }
  if (g_str_equal(argv[1], "--help") || g_str_equal(argv[1], "-h") ||
      g_str_equal(argv[1], "help")) {
    print_overview(stdout);
    return 0;
  }
  if (g_str_equal(argv[1], "--version") || g_str_equal(argv[1], "version")) {
    puts("manako " MNK_VERSION);
    return 0;
  }
  const MnkCommand *command = find_command(argv[1]);
  if (command == NULL) {
    g_autofree char *name = mnk_text_escape(argv[1]);
    fprintf(stderr, "manako: there is no command \"%s\"; see manako --help\n", name);
    return mnk_error_code_exit(MNK_ERROR_USAGE);
  }
  const MnkInvocation invocation = {command, argc - 2, argv + 2};
  if (asks_for_help(invocation.argc, invocation.argv)) {
    print_help(command);
    return 0;
  }
  if (run_command(&invocation, &error))
    return 0;
  if (!g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED)) {
    g_autofree char *message = mnk_text_escape(error->message);
    fprintf(stderr, "manako: %s\n", message);
  }
  return mnk_error_exit_code(error);
}
