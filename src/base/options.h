/* Options: one table for the command line, the environment, config.yaml, --help and
 * docs/configuration.md. The table is options.def; each line becomes an MnkOptionId.
 *
 * Precedence: command line, environment, config file, default. */
#ifndef MNK_BASE_OPTIONS_H
#define MNK_BASE_OPTIONS_H

#include <glib.h>

typedef enum {
  MNK_OPTION_BOOL, /* flag: --name, --no-name; file and environment: true/false */
  MNK_OPTION_INT,
  MNK_OPTION_DOUBLE,
  MNK_OPTION_STRING, /* max length in bytes = max */
  MNK_OPTION_ENUM,   /* choices "a|b|c" */
  MNK_OPTION_TIME,   /* milliseconds inside; "90", "1.5", "1:30", "01:02:03.5", "10s", "250ms"
                        outside;   plain numbers are seconds */
  MNK_OPTION_SIZE,   /* bytes inside; "512", "64KiB", "8MiB", "2GiB" outside */
} MnkOptionType;

typedef enum {
  MNK_OPTION_LIVE = 1 << 0,     /* may change while the program runs */
  MNK_OPTION_SECRET = 1 << 1,   /* never shown */
  MNK_OPTION_HIDDEN = 1 << 2,   /* not in --help or docs; for tests */
  MNK_OPTION_CLI_ONLY = 1 << 3, /* not in the config file or the environment */
} MnkOptionFlags;

/* Which commands take the option. */
typedef enum {
  MNK_COMMAND_CAPTION = 1 << 0,
  MNK_COMMAND_CAPTIONS = 1 << 1,
  MNK_COMMAND_SEARCH = 1 << 2,
  MNK_COMMAND_MODELS = 1 << 3,
  MNK_COMMAND_DOCTOR = 1 << 4,
  MNK_COMMAND_WORKER = 1 << 5,
  MNK_COMMAND_SERVE = 1 << 6,
  MNK_COMMAND_SEND = 1 << 7,
  MNK_COMMAND_KEYS = 1 << 8,
  MNK_COMMAND_ASK = 1 << 9,
  MNK_COMMAND_INDEXER = 1 << 10,
  MNK_COMMAND_PARAM = 1 << 11, /* not a command: each stream of the server may have its own value */
  MNK_COMMAND_ALL = MNK_COMMAND_PARAM - 1,
} MnkCommandSet;

typedef enum {
#define MNK_OPT(id, ...) MNK_OPT_##id,
#include "base/options.def"
#undef MNK_OPT
  MNK_OPT_N,
} MnkOptionId;

typedef struct {
  MnkOptionId id;
  const char
      *name;   /* "gate-mse": the flag; gate_mse in the file, MANAKO_GATE_MSE in the environment */
  char letter; /* short flag or 0 */
  const char *aliases; /* further flag and file names, '|' between, or NULL; "!name" means the
                          opposite of a flag */
  const char *env;     /* further environment names, '|' between, or NULL */
  MnkOptionType type;
  double min, max;
  const char *choices;  /* MNK_OPTION_ENUM */
  const char *fallback; /* the default as text; NULL: unset */
  guint flags;
  guint commands;
  const char *group; /* heading in --help and docs */
  const char *value; /* placeholder, e.g. "FPS" */
  const char *help;  /* one or two sentences */
} MnkOption;

const MnkOption *mnk_option(MnkOptionId id);
const MnkOption *mnk_option_by_name(const char *name); /* with dashes or underscores, aliases too */

typedef struct _MnkSettings MnkSettings;

MnkSettings *mnk_settings_new(void); /* all defaults */
MnkSettings *mnk_settings_copy(const MnkSettings *settings);
void mnk_settings_free(MnkSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSettings, mnk_settings_free)

/* Each may be called once, in any order: precedence does not depend on it. Errors name the option,
 * its range and, for a file, the file and line. */
gboolean mnk_settings_load_env(MnkSettings *settings, char **environ_pairs, GError **error);
gboolean mnk_settings_load_yaml(MnkSettings *settings, const char *path, GError **error);
/* argv without the program's and the command's name. Positionals go to *rest (NULL-terminated,
 * caller frees with g_strfreev). "--" ends the options. An unknown option's error proposes the
 * nearest name. */
gboolean mnk_settings_parse_args(MnkSettings *settings, MnkCommandSet command, int argc,
                                 char *const *argv, char ***rest, GError **error);
/* One value as text, at the command line's precedence. */
gboolean mnk_settings_set(MnkSettings *settings, MnkOptionId id, const char *text, GError **error);
/* Another default than the table's, for a command that knows better; text is the program's own. */
void mnk_settings_set_default(MnkSettings *settings, MnkOptionId id, const char *text);
/* One option's value and origin as the other settings have them. */
void mnk_settings_take(MnkSettings *settings, MnkOptionId id, const MnkSettings *from);

gboolean mnk_settings_bool(const MnkSettings *settings, MnkOptionId id);
gint64 mnk_settings_int(const MnkSettings *settings,
                        MnkOptionId id); /* INT, TIME (ms), SIZE (bytes), ENUM (index) */
double mnk_settings_double(const MnkSettings *settings,
                           MnkOptionId id); /* DOUBLE, or any number above */
const char *mnk_settings_string(const MnkSettings *settings,
                                MnkOptionId id); /* borrowed; ENUM: its word; NULL if unset */
gboolean mnk_settings_is_set(const MnkSettings *settings,
                             MnkOptionId id); /* not from the default */
/* Where a value comes from: "default", "config.yaml:12", "MANAKO_FPS", "command line". */
const char *mnk_settings_origin(const MnkSettings *settings, MnkOptionId id);

/* Help for one command, wrapped to width columns. */
void mnk_options_write_help(GString *out, MnkCommandSet command, guint width);
/* docs/configuration.md, whole. */
void mnk_options_write_markdown(GString *out);

/* "1:30" and friends as in MNK_OPTION_TIME. */
gboolean mnk_parse_time_ms(const char *text, gint64 *ms);
/* 3723500 as "1:02:03.5", 65000 as "1:05". Caller frees. */
char *mnk_format_time_ms(gint64 ms);

#endif
