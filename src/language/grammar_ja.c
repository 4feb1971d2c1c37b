/* Japanese, in the plain style of captions. */
#include "language/grammar_priv.h"

#include <string.h>

/* Which verb of being: of the living, of things, of both or of what is only looked at. */
enum { LIVING, THINGS, SEEN };

static const guint MANY_PEOPLE = 10;

static const char *const SPOTS[MNK_SPOT_N] = {
    [MNK_SPOT_LEFT] = "左", [MNK_SPOT_RIGHT] = "右",  [MNK_SPOT_MIDDLE] = "中央",
    [MNK_SPOT_TOP] = "上",  [MNK_SPOT_BOTTOM] = "下", [MNK_SPOT_FRONT] = "手前",
    [MNK_SPOT_BACK] = "奥",
};

static const char *const POSTURES[MNK_POSTURE_N] = {
    [MNK_POSTURE_STANDING] = "立っている",
    [MNK_POSTURE_SITTING] = "座っている",
    [MNK_POSTURE_LYING] = "横になっている",
    [MNK_POSTURE_ARMS_RAISED] = "両腕を上げている",
};

static const char *const ACTIONS[MNK_ACTION_N] = {
    [MNK_ACTION_ENTERS] = "画面に入ってくる",
    [MNK_ACTION_LEAVES] = "画面から出ていく",
    [MNK_ACTION_LEFT] = "左へ動く",
    [MNK_ACTION_RIGHT] = "右へ動く",
    [MNK_ACTION_UP] = "上へ動く",
    [MNK_ACTION_DOWN] = "下へ動く",
    [MNK_ACTION_CLOSER] = "近づいてくる",
    [MNK_ACTION_AWAY] = "遠ざかっていく",
};

/* First, after another movement, going on. */
static const char *const CAMERAS[MNK_CAMERA_N][3] = {
    [MNK_CAMERA_PAN_LEFT] = {"左へパンする", "今度は左へパンする", "左へのパンを続ける"},
    [MNK_CAMERA_PAN_RIGHT] = {"右へパンする", "今度は右へパンする", "右へのパンを続ける"},
    [MNK_CAMERA_TILT_UP] = {"上へティルトする", "今度は上へティルトする", "上へのティルトを続ける"},
    [MNK_CAMERA_TILT_DOWN] = {"下へティルトする", "今度は下へティルトする",
                              "下へのティルトを続ける"},
    [MNK_CAMERA_ZOOM_IN] = {"ズームインする", "今度はズームインする", "ズームインを続ける"},
    [MNK_CAMERA_ZOOM_OUT] = {"ズームアウトする", "今度はズームアウトする", "ズームアウトを続ける"},
    [MNK_CAMERA_UNSTEADY] = {"揺れている", "今は揺れている", "まだ揺れている"},
};

static const char *const LIGHTS[MNK_LIGHT_N] = {
    [MNK_LIGHT_DARK] = "暗い",          [MNK_LIGHT_DIM] = "薄暗い",
    [MNK_LIGHT_BRIGHT] = "明るい",      [MNK_LIGHT_BLACK] = "ほぼ真っ黒だ",
    [MNK_LIGHT_WHITE] = "ほぼ真っ白だ", [MNK_LIGHT_UNIFORM] = "ほぼ一色だ",
};

/* In turn. */
static const char *const OPENERS[MNK_OPENER_N][3] = {
    [MNK_OPENER_NONE] = {"", "", ""},
    [MNK_OPENER_NOW] = {"今は", "今は", "今は"},
    [MNK_OPENER_CUT] = {"続いて", "場面が変わり、", ""},
    [MNK_OPENER_AGAIN] = {"再び", "再び", "再び"},
};

/* Where the word alone is not how one says to be there. */
static const MnkPhrase PLACES[] = {
    {"landscape", "風景の中"}, {"coral reef", "サンゴ礁の海"}, {"stage", "舞台の上"},
    {"pier", "桟橋"},          {"movie theater", "映画館"},
};

/* Why nothing was seen: how the phrase begins. */
static const MnkPhrase REASONS[] = {
    {"the source was away", "映像が届かなかったため"},
    {"the worker was", "処理が途中で止まり、再開したため"},
};

/* ---- nouns ---- */

static gboolean is_group(const MnkTopic *topic) {
  return mnk_topic_count_class(topic) == 5;
}

/* "2匹", "数羽", "いくつか"; nothing where the number goes without saying, unless forced. */
static void append_quantity(GString *out, const MnkTopic *topic, gboolean forced) {
  const char *counter = topic->concept->counter_ja;
  gboolean said = mnk_topic_is_living(topic) || topic->concept->kind == MNK_CONCEPT_VEHICLE;
  if (topic->count <= 1 && !forced && !(topic->counted && said))
    return;
  if (topic->count <= 3)
    g_string_append_printf(out, "%u%s", MAX(topic->count, 1), counter);
  else if (is_group(topic))
    g_string_append(out, topic->count >= MANY_PEOPLE ? "大勢" : "数人のグループ");
  else if (g_str_equal(counter, "つ"))
    g_string_append(out, "いくつか");
  else
    g_string_append_printf(out, "数%s", counter);
}

/* Each kind of clothing has its own verb of wearing; the first that fits. */
static const MnkPhrase WORN[] = {
    {"hat", "をかぶった"},      {"helmet", "をかぶった"},

    {"sunglasses", "をかけた"}, {"shoe", "をはいた"},
    {"sock", "をはいた"},       {"Christmas stocking", "をはいた"},
    {"jeans", "をはいた"},      {"skirt", "をはいた"},
    {"glove", "をはめた"},      {"tie", "を締めた"},
    {"bow tie", "を締めた"},    {"scarf", "を巻いた"},
    {"necklace", "を着けた"},
};

static void append_worn(GString *out, const MnkConcept *worn) {
  g_string_append(out, worn->ja);
  for (guint i = 0; i < G_N_ELEMENTS(WORN); i++)
    if (mnk_concept_is_a(worn->name, WORN[i].name)) {
      g_string_append(out, WORN[i].phrase);
      return;
    }
  g_string_append(out, "を着た");
}

/* The noun with all that stands before it. */
static void append_head(GString *out, const MnkTopic *topic, gboolean posed) {
  if (SPOTS[topic->spot] != NULL)
    g_string_append_printf(out, "%sに", SPOTS[topic->spot]);
  if (topic->close_up)
    g_string_append(out, "大写しの");
  if (topic->posture != MNK_POSTURE_NONE && !posed)
    g_string_append(out, POSTURES[topic->posture]);
  else if (topic->worn != NULL && !posed)
    append_worn(out, topic->worn);
  if (topic->band == MNK_BAND_VAGUE)
    g_string_append(out, "何かの");
  g_string_append(out, topic->concept->ja);
}

static void append_group(GString *out, const MnkTopic *topic) {
  g_string_append(out, topic->count >= MANY_PEOPLE ? "大勢の人" : "数人のグループ");
}

/* "犬が2匹", "犬も2匹", "カップが". */
static void append_single(GString *out, const MnkTopic *topic, const char *particle) {
  gboolean forced = g_str_equal(particle, "数"), posed = g_str_equal(particle, "姿");
  if (is_group(topic) && !forced) {
    append_group(out, topic);
    g_string_append(out, particle);
    return;
  }
  if (forced)
    g_string_append(out, topic->concept->ja);
  else
    append_head(out, topic, posed);
  g_string_append(out, forced || posed ? "が" : particle);
  append_quantity(out, topic, forced);
}

/* "人2人と犬1匹が", "左に猫、右に犬が". */
static void append_several(GString *out, const MnkTopics *topics, const char *particle) {
  gboolean commas = topics->n > 2;
  for (guint i = 0; i < topics->n; i++)
    commas |= topics->at[i]->spot != MNK_SPOT_NONE;
  for (guint i = 0; i < topics->n; i++) {
    const MnkTopic *topic = topics->at[i];
    if (i > 0)
      g_string_append(out, commas ? "、" : "と");
    if (is_group(topic)) {
      append_group(out, topic);
      continue;
    }
    append_head(out, topic, FALSE);
    if (topic->count > 1 || topic->spot == MNK_SPOT_NONE)
      append_quantity(out, topic, FALSE);
  }
  g_string_append(out, particle);
}

/* arg: the particle, "が" when empty; "-": the bare noun;  "数": with the number in any case; "姿":
 * posture left to the verb; "が、": with a pause after the number. */
static void append_new(GString *out, const MnkTopics *topics, const char *arg) {
  gboolean pause = g_str_equal(arg, "が、");
  const char *particle = arg[0] == '\0' || pause ? "が" : arg;
  if (topics->n == 0)
    return;
  if (g_str_equal(arg, "-"))
    g_string_append(out, topics->at[0]->concept->ja);
  else if (topics->n == 1)
    append_single(out, topics->at[0], particle);
  else
    append_several(out, topics, particle);
  if (pause && !g_str_has_suffix(out->str, "が"))
    g_string_append(out, "、");
}

static void append_old(GString *out, const MnkTopic *topic) {
  const MnkConcept *concept = topic->concept;
  gboolean person = g_str_equal(concept->name, "person");
  if (topic->count > 3)
    g_string_append_printf(out, person ? "その%sたち" : "%s", concept->ja);
  else if (topic->count > 1 && person)
    g_string_append_printf(out, "%u人", topic->count);
  else if (topic->count > 1)
    g_string_append_printf(out, "%u%sの%s", topic->count, concept->counter_ja, concept->ja);
  else
    g_string_append_printf(out, "%s%s", person || topic->band == MNK_BAND_VAGUE ? "その" : "",
                           concept->ja);
}

static void append_olds(GString *out, const MnkTopics *topics) {
  for (guint i = 0; i < topics->n; i++) {
    if (i > 0)
      g_string_append(out, "と");
    append_old(out, topics->at[i]);
  }
}

static guint agreement(const MnkTopics *topics) {
  guint living = 0, seen = 0;
  for (guint i = 0; i < topics->n; i++) {
    const MnkConcept *concept = topics->at[i]->concept;
    living += mnk_topic_is_living(topics->at[i]);
    seen += concept->kind == MNK_CONCEPT_PLACE || g_str_equal(concept->name, "face");
  }
  return living == topics->n ? LIVING : living + seen == 0 ? THINGS : SEEN;
}

/* ---- other words ---- */

static void append_setting(GString *out, const MnkContent *content, const char *particle) {
  if (content->setting == NULL)
    return;
  const char *word = content->setting->ja;
  gboolean sure = content->setting_band == MNK_BAND_SURE;
  for (guint i = 0; i < G_N_ELEMENTS(PLACES); i++)
    if (g_str_equal(PLACES[i].name, content->setting->name))
      word = sure ? PLACES[i].phrase : word;
  g_string_append_printf(out, "%s%s%s", word, sure ? "" : "らしい所", particle);
}

static void append_reason(GString *out, const char *why) {
  for (guint i = 0; i < G_N_ELEMENTS(REASONS); i++)
    if (g_str_has_prefix(why, REASONS[i].name)) {
      g_string_append(out, REASONS[i].phrase);
      return;
    }
}

static void append_duration(GString *out, gint64 ms) {
  gint64 seconds = MAX((ms + 500) / 1000, 1);
  gint64 minutes = (seconds + 30) / 60, hours = (minutes + 30) / 60;
  if (seconds < 60)
    g_string_append_printf(out, "%d秒", (int)seconds);
  else if (minutes < 60)
    g_string_append_printf(out, "約%d分", (int)minutes);
  else
    g_string_append_printf(out, "約%d時間", (int)hours);
}

static void append_word(GString *out, const char *word) {
  if (word != NULL)
    g_string_append(out, word);
}

static void append_spot(GString *out, const MnkClause *clause) {
  if (clause->olds.n == 1)
    append_word(out, SPOTS[clause->olds.at[0]->spot]);
}

static void append_slot(GString *out, char slot, const char *arg, const MnkClause *clause) {
  switch (slot) {
  case 'N':
  case 'M':
    append_new(out, mnk_clause_topics(clause, slot), arg);
    break;
  case 'O':
    append_olds(out, &clause->olds);
    break;
  case 'E':
    if (clause->pronoun)
      break;
    append_olds(out, &clause->olds);
    g_string_append(out, "の");
    break;
  case 'R':
    append_word(out, OPENERS[clause->opener][clause->turn % 3]);
    break;
  case 'S':
    append_setting(out, clause->content, arg);
    break;
  case 'P':
    append_spot(out, clause);
    break;
  case 'A':
    append_word(out, ACTIONS[clause->action]);
    break;
  case 'V':
    append_word(out, POSTURES[clause->posture]);
    break;
  case 'C':
    append_word(out, CAMERAS[clause->camera][arg[0] == '\0' ? 0 : arg[0] - '0']);
    break;
  case 'K':
    g_string_append_printf(out, "1%s", clause->olds.at[0]->concept->counter_ja);
    break;
  case 'T':
    for (guint i = 0; i < clause->content->n_quoted; i++)
      g_string_append_printf(out, "「%s」", clause->content->texts[i]);
    break;
  case 'D':
    append_duration(out, clause->lasting_ms);
    break;
  case 'L':
    append_word(out, LIGHTS[clause->content->light]);
    break;
  case 'W':
    append_reason(out, clause->content->gap);
    break;
  default:
    g_assert_not_reached();
  }
}

const MnkGrammar mnk_grammar_ja = {
    .code = "ja",
    .clause_joint = "。",
    .sentence_joint = "",
    .full_stop = "。",
    .capitals = FALSE,
    .slot = append_slot,
    .agreement = agreement,
    .patterns =
        {
            [MNK_SAY_GAP] = {"[{W}、]この区間は見ていない", "[{W}、]この区間も見ていない"},
            [MNK_SAY_SHOW] = {"{R}{S:に}{N}{N|いる|ある|見える}", "{R}{S:に}{N}映っている"},
            [MNK_SAY_SHOW_AND_MAYBE] = {"{R}{S:に}{N}{N|いる|ある|見える}。"
                                        "{M:も}{M|いる|ある|見える}ようだ",
                                        "{R}{S:に}{N}映っている。{M:も}{M|いる|ある|見える}ようだ"},
            [MNK_SAY_SHOW_MAYBE] = {"{R}{S:に}{M}{M|いる|ある|見える}ようだ",
                                    "{R}{S:に}{M}映っているようだ"},
            [MNK_SAY_SHOW_LARGE] = {"{R}{N:が、}大きく映っている",
                                    "{R}画面いっぱいに{N}映っている"},
            [MNK_SAY_SHOW_POSED] = {"{R}{S:で}{N:姿}{V}", "{R}{S:に}{N}映っている"},
            [MNK_SAY_SHOW_PLACE] = {"{R}{N}見える", "{R}{N}映っている"},
            [MNK_SAY_SHOW_PLACE_MAYBE] = {"{R}{M:-}のようだ", "{R}{M}映っているようだ"},
            [MNK_SAY_SHOW_ACTING] = {"{R}{S:で}{N:が、}{A}", "{R}ここでも{S:で}{N:が、}{A}"},
            [MNK_SAY_ACTS] = {"{O}が{A}", "再び{O}が{A}"},
            [MNK_SAY_ONE_ACTS] = {"{E}うち{K}が{A}", "再び{E}うち{K}が{A}"},
            [MNK_SAY_KEEPS_ACTING] = {"{O}は引き続き{A}", "{O}はなおも{A}"},
            [MNK_SAY_POSTURE] = {"{O}は今、{V}"},
            [MNK_SAY_ONE_POSTURE] = {"{E}うち{K}は{V}"},
            [MNK_SAY_JOINED] = {"{O}に{N}加わった"},
            [MNK_SAY_CAME] = {"{N}見えるようになった"},
            [MNK_SAY_CAME_MAYBE] = {"{M:も}{M|いる|ある|見える}ようだ"},
            [MNK_SAY_GONE] = {"{O}は見えなくなった"},
            [MNK_SAY_REMAINS] = {"{O}は残っている"},
            [MNK_SAY_MORE] = {"{N:数}になった"},
            [MNK_SAY_FEWER] = {"{N:数}だけになった"},
            [MNK_SAY_MOVED] = {"{O}は今、{P}に{O|いる|ある|見える}"},
            [MNK_SAY_CLEARER] = {"{O}は{N:-}だ"},
            [MNK_SAY_SAME] = {"{O}はまだ{O|いる|ある|見える}", "引き続き{O}が{O|いる|ある|見える}",
                              "{D}たっても{O}が{O|いる|ある|見える}"},
            [MNK_SAY_SAME_ONE] = {"{O}はまだ[{P}に]{O|いる|ある|見える}",
                                  "引き続き[{P}に]{O}が{O|いる|ある|見える}",
                                  "{D}たっても[{P}に]{O}が{O|いる|ある|見える}"},
            [MNK_SAY_SAME_MAYBE] = {"{O}はまだ{O|いる|ある|見える}ようだ",
                                    "引き続き{O}が{O|いる|ある|見える}ようだ",
                                    "{D}たっても{O}が{O|いる|ある|見える}ようだ"},
            [MNK_SAY_DARK] = {"画面は暗い"},
            [MNK_SAY_BLANK] = {"画面は{L}", "ここでも画面は{L}"},
            [MNK_SAY_BLANK_STILL] = {"画面はまだ{L}", "引き続き画面は{L}", "{D}たっても画面は{L}"},
            [MNK_SAY_NOTHING] = {"はっきり分かるものは映っていない",
                                 "名前を挙げられるものは映っていない"},
            [MNK_SAY_NOTHING_LIT] = {"{L}画面で、はっきり分かるものは映っていない",
                                     "ここも{L}画面で、名前を挙げられるものは映っていない"},
            [MNK_SAY_NOTHING_STILL] = {"まだはっきり分かるものは映っていない",
                                       "引き続き、名前を挙げられるものは映っていない",
                                       "{D}たっても、はっきり分かるものは映っていない"},
            [MNK_SAY_CAMERA] = {"カメラは{C}"},
            [MNK_SAY_CAMERA_NOW] = {"カメラが{C:1}"},
            [MNK_SAY_CAMERA_STILL] = {"カメラは{C:2}"},
            [MNK_SAY_CAMERA_STOPPED] = {"カメラの動きは止まった"},
            [MNK_SAY_TEXT] = {"{T}と書かれている", "{T}という文字が見える"},
            [MNK_SAY_TEXT_MUCH] = {"文字が多く、{T}などと書かれている"},
            [MNK_SAY_TEXT_NOW] = {"文字は{T}に変わった"},
            [MNK_SAY_TEXT_SAME] = {"文字は{T}のままだ", "引き続き{T}と書かれている",
                                   "{D}たっても文字は{T}のままだ"},
            [MNK_SAY_TEXT_GONE] = {"文字は見えなくなった"},
        },
};
