/* English. */
#include "language/grammar_priv.h"

#include <string.h>

enum { SINGULAR, PLURAL };

static const char *const NUMBERS[] = {"no", "one", "two", "three"};

static const char *const SPOTS[MNK_SPOT_N] = {
    [MNK_SPOT_LEFT] = "on the left",       [MNK_SPOT_RIGHT] = "on the right",
    [MNK_SPOT_MIDDLE] = "in the middle",   [MNK_SPOT_TOP] = "at the top",
    [MNK_SPOT_BOTTOM] = "at the bottom",   [MNK_SPOT_FRONT] = "in the foreground",
    [MNK_SPOT_BACK] = "in the background", [MNK_SPOT_FILLS] = "filling most of the picture",
};

static const char *const POSTURES[MNK_POSTURE_N] = {
    [MNK_POSTURE_STANDING] = "standing",
    [MNK_POSTURE_SITTING] = "sitting",
    [MNK_POSTURE_LYING] = "lying down",
    [MNK_POSTURE_ARMS_RAISED] = "raising both arms",
};

/* Third person singular, plural, after "keeps". */
static const char *const ACTIONS[MNK_ACTION_N][3] = {
    [MNK_ACTION_ENTERS] = {"enters the picture", "enter the picture", "coming in"},
    [MNK_ACTION_LEAVES] = {"leaves the picture", "leave the picture", "going out"},
    [MNK_ACTION_LEFT] = {"moves left", "move left", "moving left"},
    [MNK_ACTION_RIGHT] = {"moves right", "move right", "moving right"},
    [MNK_ACTION_UP] = {"moves up", "move up", "moving up"},
    [MNK_ACTION_DOWN] = {"moves down", "move down", "moving down"},
    [MNK_ACTION_CLOSER] = {"comes closer", "come closer", "coming closer"},
    [MNK_ACTION_AWAY] = {"moves away", "move away", "moving away"},
};

/* First, after another movement, going on. */
static const char *const CAMERAS[MNK_CAMERA_N][3] = {
    [MNK_CAMERA_PAN_LEFT] = {"pans left", "now pans left", "keeps panning left"},
    [MNK_CAMERA_PAN_RIGHT] = {"pans right", "now pans right", "keeps panning right"},
    [MNK_CAMERA_TILT_UP] = {"tilts up", "now tilts up", "keeps tilting up"},
    [MNK_CAMERA_TILT_DOWN] = {"tilts down", "now tilts down", "keeps tilting down"},
    [MNK_CAMERA_ZOOM_IN] = {"zooms in", "now zooms in", "keeps zooming in"},
    [MNK_CAMERA_ZOOM_OUT] = {"zooms out", "now zooms out", "keeps zooming out"},
    [MNK_CAMERA_UNSTEADY] = {"is unsteady", "is now unsteady", "is still unsteady"},
};

static const char *const LIGHTS[MNK_LIGHT_N] = {
    [MNK_LIGHT_DARK] = "dark",
    [MNK_LIGHT_DIM] = "dim",
    [MNK_LIGHT_BRIGHT] = "bright",
    [MNK_LIGHT_BLACK] = "almost completely black",
    [MNK_LIGHT_WHITE] = "blank and almost white",
    [MNK_LIGHT_UNIFORM] = "almost a single shade",
};

/* In turn. */
static const char *const OPENERS[MNK_OPENER_N][3] = {
    [MNK_OPENER_NONE] = {"", "", ""},
    [MNK_OPENER_NOW] = {"now ", "now ", "now "},
    [MNK_OPENER_CUT] = {"then ", "now ", ""},
    [MNK_OPENER_AGAIN] = {"again ", "again ", "again "},
};

/* The others: "at a bakery". */
static const MnkPhrase PLACES[] = {
    {"landscape", "in a landscape"}, {"coast", "on the coast"},
    {"seashore", "at the seashore"}, {"headland", "on a headland"},
    {"sandbar", "on a sandbar"},     {"lakeside", "by a lake"},
    {"valley", "in a valley"},       {"mountain", "in the mountains"},
    {"cliff", "by a cliff"},         {"geyser", "by a geyser"},
    {"harbor", "in a harbor"},       {"breakwater", "by a breakwater"},
    {"patio", "on a patio"},         {"stage", "on a stage"},
    {"library", "in a library"},     {"restaurant", "in a restaurant"},
};

/* ---- nouns ---- */

/* "scissors": one is already plural. */
static gboolean is_pair(const MnkConcept *concept) {
  return concept->plural != NULL && g_str_equal(concept->name, concept->plural) &&
         g_str_has_suffix(concept->name, "s");
}

static gboolean is_group(const MnkTopic *topic) {
  return mnk_topic_count_class(topic) == 5;
}

static gboolean is_plural(const MnkTopic *topic) {
  if (topic->concept->plural == NULL || is_group(topic))
    return FALSE;
  return topic->count > 1;
}

/* By sound: "an hourglass", "a unicycle". */
static const char *article(const char *word) {
  static const char *const AN[] = {"hour", "heir", "honest"};
  static const char *const A[] = {"uni", "use", "eu", "one", "ukulele"};
  for (guint i = 0; i < G_N_ELEMENTS(AN); i++)
    if (g_str_has_prefix(word, AN[i]))
      return "an";
  for (guint i = 0; i < G_N_ELEMENTS(A); i++)
    if (g_str_has_prefix(word, A[i]))
      return "a";
  return strchr("aeiouAEIOU", word[0]) != NULL ? "an" : "a";
}

static const char *number(const MnkTopic *topic) {
  return topic->count < G_N_ELEMENTS(NUMBERS) ? NUMBERS[topic->count] : "several";
}

static void append_vague(GString *out, const MnkTopic *topic) {
  const MnkConcept *concept = topic->concept;
  if (is_plural(topic))
    g_string_append_printf(out, "%s %s of some kind", number(topic), concept->plural);
  else
    g_string_append_printf(out, "some kind of %s", concept->name);
}

static void append_new(GString *out, const MnkTopic *topic) {
  const MnkConcept *concept = topic->concept;
  if (topic->band == MNK_BAND_VAGUE)
    append_vague(out, topic);
  else if (concept->plural == NULL)
    g_string_append(out, concept->name);
  else if (is_group(topic))
    g_string_append_printf(out, "a group of %s", concept->plural);
  else if (is_pair(concept) && topic->count == 1)
    g_string_append_printf(out, "a pair of %s", concept->plural);
  else if (is_pair(concept))
    g_string_append_printf(out, "%s pairs of %s", number(topic), concept->plural);
  else if (topic->count > 1)
    g_string_append_printf(out, "%s %s", number(topic), concept->plural);
  else
    g_string_append_printf(out, "%s %s", article(concept->name), concept->name);
}

/* What else is known of a single thing, in the order of speech. */
static void append_attributes(GString *out, const MnkTopic *topic) {
  if (topic->close_up)
    g_string_append(out, " in close-up");
  if (topic->posture != MNK_POSTURE_NONE)
    g_string_append_printf(out, " %s", POSTURES[topic->posture]);
  else if (topic->worn != NULL && (topic->worn->plural == NULL || is_pair(topic->worn)))
    g_string_append_printf(out, " wearing %s", topic->worn->name);
  else if (topic->worn != NULL)
    g_string_append_printf(out, " wearing %s %s", article(topic->worn->name), topic->worn->name);
  if (topic->spot != MNK_SPOT_NONE)
    g_string_append_printf(out, " %s", SPOTS[topic->spot]);
}

static void append_old(GString *out, const MnkTopic *topic, gboolean bare) {
  const MnkConcept *concept = topic->concept;
  if (!bare)
    g_string_append(out, "the ");
  if (is_group(topic))
    g_string_append_printf(out, "group of %s", concept->plural);
  else if (is_plural(topic) && topic->count <= 3)
    g_string_append_printf(out, "%s %s%s", number(topic), is_pair(concept) ? "pairs of " : "",
                           concept->plural);
  else
    g_string_append(out, is_plural(topic) ? concept->plural : concept->name);
}

static void append_list(GString *out, const MnkTopics *topics, char slot, const char *arg) {
  if (g_str_equal(arg, "number") && topics->at[0]->count == 1) {
    g_string_append_printf(out, "one %s", topics->at[0]->concept->name);
    return;
  }
  for (guint i = 0; i < topics->n; i++) {
    if (i > 0)
      g_string_append(out, i + 1 < topics->n ? ", " : " and ");
    if (slot == 'N' || slot == 'M') {
      append_new(out, topics->at[i]);
      append_attributes(out, topics->at[i]);
    } else {
      append_old(out, topics->at[i], slot == 'B');
    }
  }
}

static guint agreement(const MnkTopics *topics) {
  if (topics->n != 1)
    return PLURAL;
  const MnkTopic *topic = topics->at[0];
  return is_plural(topic) || is_pair(topic->concept) ? PLURAL : SINGULAR;
}

/* ---- other words ---- */

static void append_setting(GString *out, const MnkContent *content) {
  if (content->setting == NULL)
    return;
  g_string_append(out, content->setting_band == MNK_BAND_SURE ? " " : ", probably ");
  for (guint i = 0; i < G_N_ELEMENTS(PLACES); i++)
    if (g_str_equal(PLACES[i].name, content->setting->name)) {
      g_string_append(out, PLACES[i].phrase);
      return;
    }
  g_string_append_printf(out, "at %s %s", article(content->setting->name), content->setting->name);
}

static void append_spot(GString *out, const MnkClause *clause, const char *otherwise) {
  MnkSpot spot = clause->olds.n == 1 ? clause->olds.at[0]->spot : MNK_SPOT_NONE;
  gboolean place = spot != MNK_SPOT_NONE && spot != MNK_SPOT_FILLS;
  g_string_append(out, place ? SPOTS[spot] : otherwise);
}

static void append_action(GString *out, const char *arg, const MnkClause *clause) {
  guint column = g_str_equal(arg, "one")     ? SINGULAR
                 : g_str_equal(arg, "keeps") ? 2
                                             : agreement(mnk_clause_topics(clause, 'A'));
  g_string_append(out, ACTIONS[clause->action][column]);
}

static void append_texts(GString *out, const MnkContent *content) {
  for (guint i = 0; i < content->n_quoted; i++)
    g_string_append_printf(out, "%s“%s”", i > 0 ? " and " : "", content->texts[i]);
}

static void append_duration(GString *out, gint64 ms) {
  gint64 seconds = MAX((ms + 500) / 1000, 1);
  gint64 minutes = (seconds + 30) / 60, hours = (minutes + 30) / 60;
  if (seconds < 60)
    g_string_append_printf(out, "%d second%s", (int)seconds, seconds == 1 ? "" : "s");
  else if (minutes < 60)
    g_string_append_printf(out, "about %d minute%s", (int)minutes, minutes == 1 ? "" : "s");
  else
    g_string_append_printf(out, "about %d hour%s", (int)hours, hours == 1 ? "" : "s");
}

static void append_word(GString *out, const char *word) {
  if (word != NULL)
    g_string_append(out, word);
}

static void append_slot(GString *out, char slot, const char *arg, const MnkClause *clause) {
  switch (slot) {
  case 'N':
  case 'M':
  case 'O':
  case 'B':
    append_list(out, mnk_clause_topics(clause, slot), slot, arg);
    break;
  case 'E':
    if (clause->pronoun)
      g_string_append(out, "them");
    else if (is_group(clause->olds.at[0]))
      g_string_append_printf(out, "the %s", clause->olds.at[0]->concept->plural);
    else
      append_list(out, &clause->olds, 'O', "");
    break;

  case 'R':
    append_word(out, OPENERS[clause->opener][clause->turn % 3]);
    break;
  case 'S':
    append_setting(out, clause->content);
    break;
  case 'P':
    append_spot(out, clause, "");
    break;
  case 'H':
    append_spot(out, clause, "there");
    break;
  case 'A':
    append_action(out, arg, clause);
    break;
  case 'V':
    append_word(out, POSTURES[clause->posture]);
    break;
  case 'C':
    append_word(out, CAMERAS[clause->camera][arg[0] == '\0' ? 0 : arg[0] - '0']);
    break;
  case 'T':
    append_texts(out, clause->content);
    break;
  case 'D':
    append_duration(out, clause->lasting_ms);
    break;
  case 'L':
    append_word(out, LIGHTS[clause->content->light]);
    break;
  case 'W':
    append_word(out, clause->content->gap);
    break;
  default:
    g_assert_not_reached();
  }
}

const MnkGrammar mnk_grammar_en = {
    .code = "en",
    .clause_joint = "; ",
    .sentence_joint = " ",
    .full_stop = ".",
    .capitals = TRUE,
    .slot = append_slot,
    .agreement = agreement,
    .patterns =
        {
            [MNK_SAY_GAP] = {"nothing was seen here[: {W}]", "here too, nothing was seen[: {W}]"},
            [MNK_SAY_SHOW] = {"{R}{N}{S}", "the picture {R}shows {N}{S}", "{R}in view: {N}{S}"},
            [MNK_SAY_SHOW_AND_MAYBE] = {"{R}{N}{S}, and probably {M}",
                                        "the picture {R}shows {N}{S}, and probably {M}"},
            [MNK_SAY_SHOW_MAYBE] = {"{R}probably {M}{S}", "the picture {R}probably shows {M}{S}"},
            [MNK_SAY_SHOW_LARGE] = {"{R}{N}{S}", "the picture {R}shows {N}{S}"},
            [MNK_SAY_SHOW_POSED] = {"{R}{N}{S}", "the picture {R}shows {N}{S}"},
            [MNK_SAY_SHOW_PLACE] = {"{R}{N}", "the picture {R}shows {N}"},
            [MNK_SAY_SHOW_PLACE_MAYBE] = {"{R}probably {M}", "the picture {R}probably shows {M}"},
            [MNK_SAY_SHOW_ACTING] = {"{R}{N} {A}{S}", "{R}in view, {N} {A}{S}"},
            [MNK_SAY_ACTS] = {"{O} {A}", "again, {O} {A}"},
            [MNK_SAY_ONE_ACTS] = {"one of {E} {A:one}", "again, one of {E} {A:one}"},
            [MNK_SAY_KEEPS_ACTING] = {"{O} {O|keeps|keep} {A:keeps}",
                                      "{O} {O|is|are} still {A:keeps}"},
            [MNK_SAY_POSTURE] = {"{O} {O|is|are} now {V}"},
            [MNK_SAY_ONE_POSTURE] = {"one of {E} is {V}"},
            [MNK_SAY_JOINED] = {"{N} {N|has|have} joined {O}"},
            [MNK_SAY_CAME] = {"{N} {N|is|are} now in view"},
            [MNK_SAY_CAME_MAYBE] = {"probably {M} as well"},
            [MNK_SAY_GONE] = {"{O} {O|is|are} no longer in view"},
            [MNK_SAY_REMAINS] = {"{O} {O|remains|remain}"},
            [MNK_SAY_MORE] = {"now {N}"},
            [MNK_SAY_FEWER] = {"now only {N:number}"},
            [MNK_SAY_MOVED] = {"{O} {O|is|are} now {P}"},
            [MNK_SAY_CLEARER] = {"{O} {O|is|are} {N}"},
            [MNK_SAY_SAME] = {"{O} are still there", "still {O}", "after {D}, still {O}"},
            [MNK_SAY_SAME_ONE] = {"{O} {O|is|are} still {H}", "the same {B}[, still {P}]",
                                  "after {D}, still {O}[ {P}]"},
            [MNK_SAY_SAME_MAYBE] = {"{O} {O|is|are} probably still {H}", "probably still {O}",
                                    "after {D}, probably still {O}"},
            [MNK_SAY_DARK] = {"the picture is dark"},
            [MNK_SAY_BLANK] = {"the picture is {L}", "again, the picture is {L}"},
            [MNK_SAY_BLANK_STILL] = {"the picture is still {L}", "still {L}",
                                     "after {D}, the picture is still {L}"},
            [MNK_SAY_NOTHING] = {"nothing in the picture can be named with confidence",
                                 "here, too, nothing can be named with confidence"},
            [MNK_SAY_NOTHING_LIT] = {"a {L} picture in which nothing can be named with confidence",
                                     "another {L} picture without a subject that can be named"},
            [MNK_SAY_NOTHING_STILL] = {"still nothing that can be named with confidence",
                                       "nothing new that can be named",
                                       "after {D}, still nothing that can be named"},
            [MNK_SAY_CAMERA] = {"the camera {C}"},
            [MNK_SAY_CAMERA_NOW] = {"the camera {C:1}"},
            [MNK_SAY_CAMERA_STILL] = {"the camera {C:2}"},
            [MNK_SAY_CAMERA_STOPPED] = {"the camera has stopped"},
            [MNK_SAY_TEXT] = {"the text reads {T}", "the text here reads {T}"},
            [MNK_SAY_TEXT_MUCH] = {"a lot of text, including {T}"},
            [MNK_SAY_TEXT_NOW] = {"the text now reads {T}"},
            [MNK_SAY_TEXT_SAME] = {"the text still reads {T}", "still the text {T}",
                                   "after {D}, the text still reads {T}"},
            [MNK_SAY_TEXT_GONE] = {"the text is gone"},
        },
};
