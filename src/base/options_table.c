/* The table itself, and looking things up in it. */
#include "base/options_priv.h"

#include <string.h>

/* Names longer than this are not compared for likeness. */
enum { LONGEST_NAME = 64 };

/* The short words of options.def. Types are written without their prefix there too; the macro puts
 * it back. */
enum {
  LIVE = MNK_OPTION_LIVE,
  SECRET = MNK_OPTION_SECRET,
  HIDDEN = MNK_OPTION_HIDDEN,
  CLI_ONLY = MNK_OPTION_CLI_ONLY,

  CAPTION = MNK_COMMAND_CAPTION,
  ASK = MNK_COMMAND_ASK,
  INDEXER = MNK_COMMAND_INDEXER,
  CAPTIONS = MNK_COMMAND_CAPTIONS,
  SEARCH = MNK_COMMAND_SEARCH,
  MODELS = MNK_COMMAND_MODELS,
  DOCTOR = MNK_COMMAND_DOCTOR,
  WORKER = MNK_COMMAND_WORKER,
  SERVE = MNK_COMMAND_SERVE,
  SEND = MNK_COMMAND_SEND,
  KEYGEN = MNK_COMMAND_KEYS,
  PARAM = MNK_COMMAND_PARAM,
  ALL = MNK_COMMAND_ALL,
};

static const MnkOption option_table[MNK_OPT_N] = {
#define MNK_OPT(id_, name_, letter_, aliases_, env_, type_, min_, max_, choices_, fallback_,       \
                flags_, commands_, group_, value_, help_)                                          \
  [MNK_OPT_##id_] = {.id = MNK_OPT_##id_,                                                          \
                     .name = (name_),                                                              \
                     .letter = (letter_),                                                          \
                     .aliases = (aliases_),                                                        \
                     .env = (env_),                                                                \
                     .type = MNK_OPTION_##type_,                                                   \
                     .min = (min_),                                                                \
                     .max = (max_),                                                                \
                     .choices = (choices_),                                                        \
                     .fallback = (fallback_),                                                      \
                     .flags = (flags_),                                                            \
                     .commands = (commands_),                                                      \
                     .group = (group_),                                                            \
                     .value = (value_),                                                            \
                     .help = (help_)},
#include "base/options.def"
#undef MNK_OPT
};

static const struct {
  MnkCommandSet command;
  const char *name;
} command_names[] = {
    {MNK_COMMAND_CAPTION, "caption"}, {MNK_COMMAND_CAPTIONS, "captions"},
    {MNK_COMMAND_SEARCH, "search"},   {MNK_COMMAND_MODELS, "models"},
    {MNK_COMMAND_DOCTOR, "doctor"},   {MNK_COMMAND_WORKER, "worker"},
    {MNK_COMMAND_SERVE, "serve"},     {MNK_COMMAND_SEND, "send"},
    {MNK_COMMAND_KEYS, "keys"},       {MNK_COMMAND_ASK, "ask"},
    {MNK_COMMAND_INDEXER, "indexer"}, {MNK_COMMAND_PARAM, "stream parameters"},
};

const char *mnk_command_name(MnkCommandSet command) {
  for (guint i = 0; i < G_N_ELEMENTS(command_names); i++)
    if (command_names[i].command == command)
      return command_names[i].name;
  return "this command";
}

const MnkOption *mnk_option(MnkOptionId id) {
  g_return_val_if_fail((guint)id < MNK_OPT_N, NULL);
  return &option_table[id];
}

static char dashed(char c) {
  return c == '_' ? '-' : c;
}

gboolean mnk_option_names_equal(const char *a, const char *b) {
  for (; dashed(*a) == dashed(*b); a++, b++)
    if (*a == '\0')
      return TRUE;
  return FALSE;
}

static gboolean has_alias(const MnkOption *option, const char *name, gboolean *negated) {
  if (option->aliases == NULL)
    return FALSE;
  g_auto(GStrv) aliases = g_strsplit(option->aliases, "|", -1);
  for (char **alias = aliases; *alias != NULL; alias++) {
    *negated = **alias == '!';
    if (mnk_option_names_equal(*alias + (*negated ? 1 : 0), name))
      return TRUE;
  }
  return FALSE;
}

const MnkOption *mnk_option_find(const char *name, gboolean *negated) {
  for (guint i = 0; i < MNK_OPT_N; i++) {
    *negated = FALSE;
    if (mnk_option_names_equal(option_table[i].name, name) ||
        has_alias(&option_table[i], name, negated))
      return &option_table[i];
  }
  return NULL;
}

const MnkOption *mnk_option_by_name(const char *name) {
  gboolean negated;
  const MnkOption *option = mnk_option_find(name, &negated);
  return option != NULL && !negated ? option : NULL;
}

/* Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, by rows of
 * the table of distances between beginnings. */
guint mnk_edit_distance(const char *a, const char *b) {
  gsize a_length = strlen(a), b_length = strlen(b);
  if (a_length > LONGEST_NAME || b_length > LONGEST_NAME)
    return G_MAXUINT;
  guint rows[3][LONGEST_NAME + 1];
  for (gsize j = 0; j <= b_length; j++)
    rows[0][j] = (guint)j;
  for (gsize i = 1; i <= a_length; i++) {
    guint *row = rows[i % 3];
    const guint *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
    row[0] = (guint)i;
    for (gsize j = 1; j <= b_length; j++) {
      char x = dashed(a[i - 1]), y = dashed(b[j - 1]);
      row[j] = MIN(above[j - 1] + (x == y ? 0 : 1), MIN(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && x == dashed(b[j - 2]) && dashed(a[i - 2]) == y)
        row[j] = MIN(row[j], before[j - 2] + 1);
    }
  }
  return rows[a_length % 3][b_length];
}

gboolean mnk_is_near(const char *name, guint distance) {
  return distance <= MAX(1, strlen(name) / 3);
}

const char *mnk_option_nearest(const char *name, guint commands, guint without_flags) {
  const char *nearest = NULL;
  guint least = G_MAXUINT;
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = &option_table[i];
    if ((option->commands & commands) == 0 || (option->flags & without_flags) != 0)
      continue;
    guint distance = mnk_edit_distance(name, option->name);
    if (distance >= least)
      continue;
    least = distance;
    nearest = option->name;
  }
  return nearest != NULL && mnk_is_near(name, least) ? nearest : NULL;
}

char *mnk_option_env_name(const MnkOption *option) {
  g_autofree char *key = mnk_option_file_key(option);
  g_autofree char *upper = g_ascii_strup(key, -1);
  return g_strconcat("MANAKO_", upper, NULL);
}

char *mnk_option_file_key(const MnkOption *option) {
  return g_strdelimit(g_strdup(option->name), "-", '_');
}
