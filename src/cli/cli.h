/* cli: the program's subcommands. Results go to standard output, everything else to standard error.
 */
#ifndef MNK_CLI_H
#define MNK_CLI_H

#include "base/base.h"
#include "wire/wire.h"

typedef struct _MnkInvocation MnkInvocation;

typedef struct {
  const char *name;
  MnkCommandSet set;     /* which options it takes */
  const char *arguments; /* for the usage line */
  const char *summary;   /* for the list of commands */
  const char *details;   /* further paragraphs of its help, or NULL */
  guint min_rest, max_rest;
  gboolean hidden;
  gboolean bare; /* its arguments alone are its settings: no environment, no file */
  /* rest: the arguments that are not options. FALSE with an error. */
  gboolean (*run)(const MnkSettings *settings, char **rest, GError **error);
  /* Instead of run, for a command that loads its settings again while it runs. It takes variables
   * of a .env file too. */
  gboolean (*serve)(const MnkSettings *settings, char **rest, const MnkInvocation *invocation,
                    GError **error);
} MnkCommand;

/* How the program was called. */
struct _MnkInvocation {
  const MnkCommand *command;
  int argc; /* of what follows the command */
  char *const *argv;
};
/* Settings from the command line, the environment and the configuration file, as they are now.
 * Caller frees both. */
gboolean mnk_cli_load(const MnkInvocation *invocation, MnkSettings **settings, char ***rest,
                      GError **error);

extern const MnkCommand mnk_command_caption, mnk_command_ask, mnk_command_serve, mnk_command_send,
    mnk_command_captions, mnk_command_search, mnk_command_keys, mnk_command_models,
    mnk_command_doctor, mnk_command_docs, mnk_command_worker, mnk_command_indexer;

/* ---- output.c: where captions are written ---- */

typedef enum { MNK_FORMAT_TEXT, MNK_FORMAT_JSONL, MNK_FORMAT_VTT, MNK_FORMAT_SRT } MnkFormat;

typedef struct _MnkOutput MnkOutput;
/* To standard output, or to a file that appears whole under its name only at close. */
MnkOutput *mnk_output_open(const MnkSettings *settings, GError **error);
/* A caption with the id of the one before replaces it where the format allows (vtt, srt, text), and
 * is written as an update in jsonl. FALSE when it could not be written. */
gboolean mnk_output_write(MnkOutput *output, const MnkCaption *caption, GError **error);
gboolean mnk_output_raw(MnkOutput *output, const char *text, gsize length, GError **error);
/* Writes what waits; a file takes its name. */
gboolean mnk_output_close(MnkOutput *output, GError **error);
void mnk_output_free(MnkOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkOutput, mnk_output_free)

/* ---- progress.c: one line on standard error, on a terminal only ---- */

typedef struct _MnkProgress MnkProgress;
/* NULL when there is no terminal or it is not wanted; all calls take NULL. */
MnkProgress *mnk_progress_new(gboolean wanted);
void mnk_progress_free(MnkProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkProgress, mnk_progress_free)
/* Redraws at most ten times a second. */
void mnk_progress_show(MnkProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Takes the line away while something else is written. */
void mnk_progress_hide(MnkProgress *progress);

/* ---- terminal.c ---- */

guint mnk_terminal_width(int fd);
/* Styled when fd is a terminal and NO_COLOR is unset, else "". */
typedef enum {
  MNK_STYLE_PLAIN,
  MNK_STYLE_BOLD,
  MNK_STYLE_DIM,
  MNK_STYLE_GOOD,
  MNK_STYLE_BAD
} MnkStyle;
const char *mnk_style(int fd, MnkStyle style);

/* ---- shown.c ---- */

/* Every value of the command's options and where it comes from: YAML that --config takes back. */
void mnk_cli_write_settings(GString *out, const MnkSettings *settings, MnkCommandSet command);

/* The timeline's file: the option, or timeline.db in the data folder. Caller frees. */
char *mnk_cli_db_path(const MnkSettings *settings);

#endif
