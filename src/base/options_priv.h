/* What the parts of the options share: the table, values and the settings behind MnkSettings. */
#ifndef MNK_BASE_OPTIONS_PRIV_H
#define MNK_BASE_OPTIONS_PRIV_H

#include "base/options.h"

/* One option's value in each form that it can be asked for. */
typedef struct {
  gint64 integer;
  double number;
  char *text; /* owned; NULL: unset */
} MnkOptionValue;

void mnk_option_value_clear(MnkOptionValue *value);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkOptionValue, mnk_option_value_clear)

/* Checks type and range. The error says what is wrong with the value and does not name the option:
 * the caller knows how the user called it. */
gboolean mnk_option_parse(const MnkOption *option, const char *text, MnkOptionValue *value,
                          GError **error);
/* A bound of the option's range as the user would write it: "10s", "4GiB", "0.01". Caller frees. */
char *mnk_option_format_bound(const MnkOption *option, double bound);
gboolean mnk_option_has_range(const MnkOption *option);

/* As mnk_option_by_name, with the aliases of a flag that mean its opposite ("!no-db" in the table).
 */
const MnkOption *mnk_option_find(const char *name, gboolean *negated);
/* The name most like this one among those of options that have one of the commands and none of the
 * flags; NULL when nothing is near. Borrowed. */
const char *mnk_option_nearest(const char *name, guint commands, guint without_flags);
gboolean mnk_option_names_equal(const char *a, const char *b);
/* Single edits between two names; G_MAXUINT for names that are too long for one. */
guint mnk_edit_distance(const char *a, const char *b);
/* Whether an edit distance is small enough for a guess at what was meant. */
gboolean mnk_is_near(const char *name, guint distance);

/* "MANAKO_GATE_MSE". Caller frees. */
char *mnk_option_env_name(const MnkOption *option);
/* "gate_mse". Caller frees. */
char *mnk_option_file_key(const MnkOption *option);
const char *mnk_command_name(MnkCommandSet command);

/* Rising precedence. */
typedef enum { MNK_LEVEL_DEFAULT, MNK_LEVEL_FILE, MNK_LEVEL_ENV, MNK_LEVEL_ARGS } MnkLevel;

/* Parses the text, and keeps it unless the option has a value of higher precedence. The text's
 * meaning is inverted for a flag when negated is set. Error as for mnk_option_parse. */
gboolean mnk_settings_put(MnkSettings *settings, const MnkOption *option, gboolean negated,
                          const char *text, MnkLevel level, const char *origin, GError **error);

#endif
