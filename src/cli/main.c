#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
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
  fputs("\n`manako COMMAND --help` tells the command's options, `manako --version` the version.\n\n"
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

/* What was printed has arrived, or the command has failed, however well its work went. */
static gboolean flush_output(GError **error) {
  if (fflush(stdout) != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "standard output cannot be written: %s",
                g_strerror(errno));
    return FALSE;
  }
  if (ferror(stdout)) { /* earlier; why is not known any more */
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_OUTPUT, "standard output cannot be written");
    return FALSE;
  }
  return TRUE;
}

static gboolean unknown_command(const char *name, GError **error) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "there is no command \"%s\"; see manako --help",
              name);
  return FALSE;
}

/* `manako help ask` is `manako ask --help`. */
static gboolean help(const char *name, GError **error) {
  const MnkCommand *command = name != NULL ? find_command(name) : NULL;
  if (name != NULL && command == NULL)
    return unknown_command(name, error);
  if (command != NULL)
    print_help(command);
  else
    print_overview(stdout);
  return TRUE;
}

static gboolean run(int argc, char **argv, GError **error) {
  const char *name = argv[1];
  if (g_str_equal(name, "--help") || g_str_equal(name, "-h") || g_str_equal(name, "help"))
    return help(argv[2], error);
  if (g_str_equal(name, "--version") || g_str_equal(name, "version")) {
    puts("manako " MNK_VERSION);
    return TRUE;
  }
  const MnkCommand *command = find_command(name);
  if (command == NULL)
    return unknown_command(name, error);
  const MnkInvocation invocation = {command, argc - 2, argv + 2};
  if (asks_for_help(invocation.argc, invocation.argv))
    return help(name, error);
  return run_command(&invocation, error);
}

int main(int argc, char **argv) {
  g_autoptr(GError) error = NULL;
  setlocale(LC_CTYPE, "");
  signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error like others, and has its own status */
  if (argc < 2) {
    print_overview(stderr);
    return mnk_error_code_exit(MNK_ERROR_USAGE);
  }
  if (run(argc, argv, &error) && flush_output(&error))
    return 0;
  if (!g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED)) {
    g_autofree char *message = mnk_text_escape(error->message);
    fprintf(stderr, "manako: %s\n", message);
  }
  return mnk_error_exit_code(error);
}
