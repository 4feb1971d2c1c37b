/* config.yaml: one mapping of option names to values, in which a group's heading may hold the
 * options of that group. Read as libyaml events, so that a file costs what it is long. */
#include "base/error.h"
#include "base/log.h"
#include "base/options_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { MAX_FILE = 1 << 20 };

typedef struct {
  MnkSettings *settings;
  const char *path;
  yaml_parser_t parser;
  guint seen[MNK_OPT_N]; /* line of the option, 0: not yet */
} Reader;

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(yaml_event_t, yaml_event_delete)

static guint line_of(const yaml_event_t *event) {
  return (guint)event->start_mark.line + 1;
}

static gboolean fail(const Reader *reader, guint line, GError **error, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* Always FALSE, with "config.yaml:7: " before the message. */
static gboolean fail(const Reader *reader, guint line, GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s:%u: %s", reader->path, line, message);
  return FALSE;
}

/* Anchors, aliases and tags let a small file mean a large or a surprising one. */
static gboolean refuse_tricks(const Reader *reader, const yaml_event_t *event, GError **error) {
  gboolean anchor = FALSE, tag = FALSE;
  if (event->type == YAML_SCALAR_EVENT) {
    anchor = event->data.scalar.anchor != NULL;
    tag = event->data.scalar.tag != NULL;
  } else if (event->type == YAML_MAPPING_START_EVENT) {
    anchor = event->data.mapping_start.anchor != NULL;
    tag = event->data.mapping_start.tag != NULL;
  } else if (event->type == YAML_ALIAS_EVENT) {
    anchor = TRUE;
  }
  if (anchor)
    return fail(reader, line_of(event), error, "anchors and aliases are not allowed");
  if (tag)
    return fail(reader, line_of(event), error, "tags are not allowed");
  return TRUE;
}

/* Replaces the event by the next one. */
static gboolean next_event(Reader *reader, yaml_event_t *event, GError **error) {
  yaml_event_delete(event);
  if (!yaml_parser_parse(&reader->parser, event)) {
    const char *problem = reader->parser.problem;
    return fail(reader, (guint)reader->parser.problem_mark.line + 1, error, "%s",
                problem != NULL ? problem : "not a YAML text");
  }
  return refuse_tricks(reader, event, error);
}

static gboolean is_plain_null(const yaml_event_t *event) {
  const char *text = (const char *)event->data.scalar.value;
  return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
         (*text == '\0' || strcmp(text, "~") == 0 || g_ascii_strcasecmp(text, "null") == 0);
}

/* The text of a scalar; NULL when it is none or holds a NUL. Borrowed. */
static const char *scalar_text(const yaml_event_t *event) {
  if (event->type != YAML_SCALAR_EVENT)
    return NULL;
  const char *text = (const char *)event->data.scalar.value;
  return strlen(text) == event->data.scalar.length ? text : NULL;
}

static gboolean is_heading(const char *key) {
  g_autofree char *lower = g_ascii_strdown(key, -1);
  for (guint i = 0; i < MNK_OPT_N; i++) {
    g_autofree char *group = g_ascii_strdown(mnk_option((MnkOptionId)i)->group, -1);
    if (mnk_option_names_equal(lower, group))
      return TRUE;
  }
  return FALSE;
}

static gboolean refuse_key(const Reader *reader, guint line, const char *key, GError **error) {
  const char *nearest =
      mnk_option_nearest(key, MNK_COMMAND_ALL, MNK_OPTION_HIDDEN | MNK_OPTION_CLI_ONLY);
  g_autofree char *safe = mnk_text_escape(key);
  if (is_heading(key))
    return fail(reader, line, error, "%s is a group: options stand under it", safe);
  if (nearest == NULL)
    return fail(reader, line, error, "unknown key %s", safe);
  g_autofree char *name = g_strdelimit(g_strdup(nearest), "-", '_');
  return fail(reader, line, error, "unknown key %s; did you mean %s?", safe, name);
}

static gboolean put(Reader *reader, const char *key, guint line, const yaml_event_t *value,
                    GError **error) {
  gboolean negated;
  const MnkOption *option = mnk_option_find(key, &negated);
  if (option == NULL)
    return refuse_key(reader, line, key, error);
  if (option->flags & MNK_OPTION_CLI_ONLY)
    return fail(reader, line, error, "%s: only the command line takes this option", key);
  if (reader->seen[option->id] != 0)
    return fail(reader, line, error, "%s: already set in line %u", key, reader->seen[option->id]);
  reader->seen[option->id] = line;

  const char *text = scalar_text(value);
  if (text == NULL)
    return fail(reader, line_of(value), error, "%s: one plain value is expected", key);
  if (is_plain_null(value))
    return fail(reader, line_of(value), error, "%s: the value is missing", key);
  g_autofree char *origin = g_strdup_printf("%s:%u", reader->path, line);
  g_autoptr(GError) failure = NULL;
  if (!mnk_settings_put(reader->settings, option, negated, text, MNK_LEVEL_FILE, origin, &failure))
    return fail(reader, line, error, "%s: %s", key, failure->message);
  return TRUE;
}

static gboolean refuse_heading(const Reader *reader, guint line, const char *key, GError **error) {
  g_autofree char *safe = mnk_text_escape(key);
  if (mnk_option_by_name(key) != NULL)
    return fail(reader, line, error, "%s: one plain value is expected", safe);
  if (is_heading(key))
    return fail(reader, line, error, "%s: a group cannot stand inside a group", safe);
  for (guint i = 0; i < MNK_OPT_N; i++) {
    g_autofree char *group = g_ascii_strdown(mnk_option((MnkOptionId)i)->group, -1);
    if (mnk_is_near(key, mnk_edit_distance(key, group)))
      return fail(reader, line, error, "unknown group %s; did you mean %s?", safe, group);
  }
  return fail(reader, line, error, "unknown group %s", safe);
}

/* The pairs of one mapping up to its end. Headings stand in the outermost mapping only, so that
 * nothing nests deeper than two. */
static gboolean read_mapping(Reader *reader, gboolean outermost, GError **error) {
  g_auto(yaml_event_t) event = {0};
  while (next_event(reader, &event, error)) {
    if (event.type == YAML_MAPPING_END_EVENT)
      return TRUE;
    if (scalar_text(&event) == NULL)
      return fail(reader, line_of(&event), error, "the name of an option is expected");
    g_autofree char *key = g_strdup(scalar_text(&event));
    guint line = line_of(&event);
    if (!next_event(reader, &event, error))
      return FALSE;

    gboolean ok;
    if (event.type != YAML_MAPPING_START_EVENT)
      ok = put(reader, key, line, &event, error);
    else if (outermost && is_heading(key))
      ok = read_mapping(reader, FALSE, error);
    else
      ok = refuse_heading(reader, line, key, error);
    if (!ok)
      return FALSE;
  }
  return FALSE;
}

static gboolean read_document(Reader *reader, yaml_event_t *event, GError **error) {
  if (!next_event(reader, event, error))
    return FALSE;
  gboolean empty = event->type == YAML_SCALAR_EVENT && is_plain_null(event);
  if (event->type != YAML_MAPPING_START_EVENT && !empty)
    return fail(reader, line_of(event), error, "options are expected, one 'name: value' a line");
  return (empty || read_mapping(reader, TRUE, error)) && next_event(reader, event, error);
}

static gboolean read_stream(Reader *reader, GError **error) {
  g_auto(yaml_event_t) event = {0};
  guint documents = 0;
  while (next_event(reader, &event, error)) {
    if (event.type == YAML_STREAM_END_EVENT)
      return TRUE;
    if (event.type != YAML_DOCUMENT_START_EVENT)
      continue;
    if (documents++ > 0)
      return fail(reader, line_of(&event), error, "a second document begins here");
    if (!read_document(reader, &event, error))
      return FALSE;
  }
  return FALSE;
}

/* Never more than the limit is read, whatever the file's size claims to be. */
static gboolean read_all(FILE *file, const char *path, GString *out, GError **error) {
  g_string_set_size(out, MAX_FILE + 1);
  gsize length = fread(out->str, 1, out->len, file);
  g_string_truncate(out, length);
  if (ferror(file))
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s cannot be read: %s", path,
                g_strerror(errno));
  else if (length > MAX_FILE)
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s is larger than 1 MiB", path);
  else
    return TRUE;
  return FALSE;
}

static gboolean read_file(const char *path, GString *out, GError **error) {
  FILE *file = fopen(path, "rbe");
  if (file == NULL) {
    int saved = errno;
    g_set_error(error, MNK_ERROR, saved == ENOENT ? MNK_ERROR_NOT_FOUND : MNK_ERROR_CONFIG,
                "%s cannot be read: %s", path, g_strerror(saved));
    return FALSE;
  }
  gboolean ok = read_all(file, path, out, error);
  fclose(file);
  return ok;
}

gboolean mnk_settings_load_yaml(MnkSettings *settings, const char *path, GError **error) {
  g_autoptr(GString) text = g_string_new(NULL);
  if (!read_file(path, text, error))
    return FALSE;
  Reader reader = {.settings = settings, .path = path};
  if (!yaml_parser_initialize(&reader.parser)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "%s cannot be read: out of memory", path);
    return FALSE;
  }
  yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text->str, text->len);
  gboolean ok = read_stream(&reader, error);
  yaml_parser_delete(&reader.parser);
  return ok;
}
