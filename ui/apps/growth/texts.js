// The app's words in its four languages, and how it writes numbers and days. Digits are Latin in all of them.
export const LANGUAGES = { fr: "Français", en: "English", es: "Español", ar: "العربية" };
const KEPT = "salam-language";
const LOCALES = { fr: "fr-MA", en: "en-GB", es: "es-ES", ar: "ar-MA" };

// Each row: French, English, Spanish, Arabic.
const ROWS = {
  title: ["Croissance et résultats", "Growth and results", "Crecimiento y resultados", "النمو والنتائج"],
  growth: ["Croissance", "Growth", "Crecimiento", "النمو"],
  measures: ["Mensurations", "Body measures", "Medidas corporales", "قياسات الجسم"],
  results: ["Résultats", "Results", "Resultados", "النتائج"],
  loading: ["Lecture du dossier…", "Reading the record…", "Leyendo la historia…", "جارٍ قراءة الملف…"],
  connecting: ["Connexion au dossier…", "Connecting to the record…", "Conectando con la historia…", "جارٍ الاتصال بالملف…"],
  weight: ["Poids", "Weight", "Peso", "الوزن"],
  height: ["Taille", "Height", "Talla", "الطول"],
  head: ["Périmètre crânien", "Head circumference", "Perímetro cefálico", "محيط الرأس"],
  bmi: ["Indice de masse corporelle", "Body mass index", "Índice de masa corporal", "مؤشر كتلة الجسم"],
  male: ["Homme", "Male", "Hombre", "ذكر"],
  female: ["Femme", "Female", "Mujer", "أنثى"],
  maleChild: ["Garçon", "Boy", "Niño", "ولد"],
  femaleChild: ["Fille", "Girl", "Niña", "بنت"],
  born: ["Né(e) le {day}", "Born {day}", "Nacimiento: {day}", "تاريخ الميلاد: {day}"],
  openedBy: ["Ouvert par {name}", "Opened by {name}", "Abierto por {name}", "فُتح من طرف {name}"],
  openedOnly: ["Ouvert depuis votre compte", "Opened from your account", "Abierto desde su cuenta", "فُتح من حسابك"],
  years: ["{n} ans", "{n} y", "{n} años", "{n} سنة"],
  months: ["{n} mois", "{n} mo", "{n} meses", "{n} شهر"],
  days: ["{n} j", "{n} d", "{n} d", "{n} يوم"],
  age: ["Âge", "Age", "Edad", "العمر"],
  date: ["Date", "Date", "Fecha", "التاريخ"],
  value: ["Valeur", "Value", "Valor", "القيمة"],
  zscore: ["Écart type (z)", "z-score", "Puntuación z", "الانحراف المعياري (z)"],
  percentile: ["Percentile", "Percentile", "Percentil", "المئوي"],
  velocity: ["Évolution par an", "Change per year", "Cambio por año", "التغيّر في السنة"],
  table: ["Tableau des valeurs", "Table of values", "Tabla de valores", "جدول القيم"],
  range: ["Période", "Period", "Periodo", "الفترة"],
  all: ["Tout", "All", "Todo", "الكل"],
  y5: ["5 ans", "5 years", "5 años", "5 سنوات"],
  y1: ["1 an", "1 year", "1 año", "سنة"],
  m3: ["3 mois", "3 months", "3 meses", "3 أشهر"],
  normal: ["Valeurs de référence du laboratoire : {range}", "Laboratory’s reference range: {range}", "Valores de referencia del laboratorio: {range}", "القيم المرجعية للمختبر: {range}"],
  curves: ["Courbes de l’OMS : −3, −2, médiane, +2 et +3 écarts types.", "WHO curves: −3, −2, median, +2 and +3 standard deviations.", "Curvas de la OMS: −3, −2, mediana, +2 y +3 desviaciones estándar.", "منحنيات منظمة الصحة العالمية: −3 و−2 والوسيط و+2 و+3 انحرافات معيارية."],
  noCurves: ["Sans courbes de l’OMS : il manque la date de naissance complète ou le sexe.", "No WHO curves: the full date of birth or the sex is missing.", "Sin curvas de la OMS: falta la fecha de nacimiento completa o el sexo.", "دون منحنيات المنظمة: ينقص تاريخ الميلاد الكامل أو الجنس."],
  computed: ["calculé du poids et de la taille du même jour", "computed from weight and height of the same day", "calculado con peso y talla del mismo día", "محسوب من وزن وطول اليوم نفسه"],
  caution: ["Aide à la lecture, pas un diagnostic. Les valeurs sont celles du dossier ; rien n’y est modifié.", "An aid to reading, not a diagnosis. Values are those of the record; nothing in it is changed.", "Ayuda a la lectura, no un diagnóstico. Los valores son los de la historia; nada se modifica.", "أداة مساعدة على القراءة وليست تشخيصًا. القيم هي قيم الملف ولا يُعدَّل فيه شيء."],
  chart: ["{what} : {count} valeurs, de {from} à {to}. Dernière : {last}.", "{what}: {count} values, {from} to {to}. Latest: {last}.", "{what}: {count} valores, de {from} a {to}. Último: {last}.", "{what}: {count} قيم، من {from} إلى {to}. الأخيرة: {last}."],
  emptyTitle: ["Aucune mesure à montrer", "No measurement to show", "Ninguna medida que mostrar", "لا توجد قياسات لعرضها"],
  empty: ["Le dossier ne contient pas encore de mesure chiffrée que l’application peut lire.", "The record has no numeric measurement yet that the app may read.", "La historia no contiene todavía medidas numéricas que la aplicación pueda leer.", "لا يحتوي الملف بعد على قياسات رقمية يمكن للتطبيق قراءتها."],
  emptyRange: ["Aucune valeur dans cette période.", "No value in this period.", "Ningún valor en este periodo.", "لا توجد قيم في هذه الفترة."],
  cut: ["Seules les {n} mesures les plus récentes sont montrées.", "Only the {n} newest measurements are shown.", "Solo se muestran las {n} medidas más recientes.", "تُعرض أحدث {n} قياسات فقط."],
  reload: ["Relire", "Read again", "Volver a leer", "إعادة القراءة"],
  other: ["Autre patient", "Another patient", "Otro paciente", "مريض آخر"],
  back: ["Retour au dossier", "Back to the record", "Volver a la historia", "العودة إلى الملف"],
  backHome: ["Retour à la clinique", "Back to the clinic", "Volver a la clínica", "العودة إلى العيادة"],
  again: ["Réessayer", "Try again", "Reintentar", "إعادة المحاولة"],
  signIn: ["Se connecter de nouveau", "Sign in again", "Iniciar sesión de nuevo", "تسجيل الدخول من جديد"],
  language: ["Langue", "Language", "Idioma", "اللغة"],
  updated: ["Lu à {time}", "Read at {time}", "Leído a las {time}", "قُرئ على الساعة {time}"],
  startTitle: ["Ouvrez l’application depuis votre clinique", "Open the app from your clinic", "Abra la aplicación desde su clínica", "افتح التطبيق من عيادتك"],
  start: ["Croissance s’ouvre depuis un dossier patient, ou depuis la page « Applications » de votre clinique : c’est elle qui dit où se trouve le dossier.", "Croissance opens from a patient’s record, or from the “Apps” page of your clinic, which says where the record is.", "Croissance se abre desde la historia de un paciente o desde la página «Aplicaciones» de su clínica, que indica dónde está la historia.", "يُفتح تطبيق Croissance من ملف المريض أو من صفحة «التطبيقات» في عيادتك، فهي التي تحدد مكان الملف."],
  deniedTitle: ["Accès non autorisé", "Access was not allowed", "Acceso no autorizado", "لم يُسمح بالوصول"],
  denied: ["Vous n’avez pas autorisé l’accès, ou votre compte ne peut pas ouvrir ce dossier. Rien n’a été lu.", "You did not allow access, or your account may not open this record. Nothing was read.", "No ha autorizado el acceso, o su cuenta no puede abrir esta historia. No se ha leído nada.", "لم تسمح بالوصول، أو لا يمكن لحسابك فتح هذا الملف. لم يُقرأ أي شيء."],
  usedTitle: ["Ce lien a déjà servi", "This link was already used", "Este enlace ya se ha utilizado", "استُعمل هذا الرابط من قبل"],
  used: ["Un lien d’ouverture est valable une fois, pendant cinq minutes. Ouvrez de nouveau l’application depuis le dossier.", "A link that opens the app works once, for five minutes. Open the app from the record again.", "Un enlace de apertura sirve una vez, durante cinco minutos. Abra de nuevo la aplicación desde la historia.", "رابط الفتح صالح مرة واحدة ولمدة خمس دقائق. افتح التطبيق من الملف من جديد."],
  endedTitle: ["Votre session est terminée", "Your session has ended", "Su sesión ha terminado", "انتهت جلستك"],
  ended: ["Pour protéger le dossier, l’accès s’arrête avec votre session. Connectez-vous de nouveau.", "To protect the record, access ends with your session. Sign in again.", "Para proteger la historia, el acceso termina con su sesión. Inicie sesión de nuevo.", "لحماية الملف، ينتهي الوصول بانتهاء جلستك. سجّل الدخول من جديد."],
  offlineTitle: ["Pas de connexion", "No connection", "Sin conexión", "لا يوجد اتصال"],
  offline: ["Le serveur ne répond pas. Ce qui est affiché date de la dernière lecture.", "The server does not answer. What is shown is from the last reading.", "El servidor no responde. Lo que se muestra es de la última lectura.", "الخادم لا يستجيب. المعروض من آخر قراءة."],
  scopeTitle: ["L’application ne peut pas lire les mesures", "The app may not read measurements", "La aplicación no puede leer las medidas", "لا يمكن للتطبيق قراءة القياسات"],
  scope: ["L’accès aux mesures a été décoché. Ouvrez l’application de nouveau et cochez « Analyses, signes vitaux et autres mesures ».", "Access to measurements was unticked. Open the app again and tick “Lab results, vital signs and other measurements”.", "Se desmarcó el acceso a las medidas. Abra la aplicación de nuevo y marque «Análisis, constantes vitales y otras mediciones».", "أُلغي اختيار الوصول إلى القياسات. افتح التطبيق من جديد واختر «التحاليل والعلامات الحيوية وقياسات أخرى»."],
  foreignTitle: ["Serveur inconnu", "Unknown server", "Servidor desconocido", "خادم غير معروف"],
  foreign: ["Ce lien mène à un autre serveur que celui de l’application. Elle n’y envoie rien.", "This link leads to another server than the app’s own. Nothing is sent there.", "Este enlace lleva a otro servidor que el de la aplicación. No se envía nada.", "يؤدي هذا الرابط إلى خادم غير خادم التطبيق. لن يُرسل إليه شيء."],
  failedTitle: ["Cela n’a pas fonctionné", "That did not work", "No ha funcionado", "لم ينجح ذلك"],
  failed: ["Le serveur a refusé la demande. Réessayez, ou ouvrez l’application de nouveau depuis la clinique.", "The server refused the request. Try again, or open the app from the clinic again.", "El servidor ha rechazado la solicitud. Reintente o abra de nuevo la aplicación desde la clínica.", "رفض الخادم الطلب. أعد المحاولة أو افتح التطبيق من العيادة من جديد."],
};

// What is often measured, by LOINC code; everything else is named as the record names it.
const MEASURES = {
  "85354-9": ["Tension artérielle", "Blood pressure", "Presión arterial", "ضغط الدم"],
  "8480-6": ["Systolique", "Systolic", "Sistólica", "الانقباضي"],
  "8462-4": ["Diastolique", "Diastolic", "Diastólica", "الانبساطي"],
  "8867-4": ["Fréquence cardiaque", "Heart rate", "Frecuencia cardíaca", "نبض القلب"],
  "8310-5": ["Température", "Body temperature", "Temperatura", "الحرارة"],
  "9279-1": ["Fréquence respiratoire", "Respiratory rate", "Frecuencia respiratoria", "معدل التنفس"],
  "59408-5": ["Saturation en oxygène", "Oxygen saturation", "Saturación de oxígeno", "تشبّع الأكسجين"],
  "2708-6": ["Saturation en oxygène", "Oxygen saturation", "Saturación de oxígeno", "تشبّع الأكسجين"],
  "2345-7": ["Glycémie", "Glucose", "Glucemia", "سكر الدم"],
  "2339-0": ["Glycémie", "Glucose", "Glucemia", "سكر الدم"],
  "4548-4": ["Hémoglobine glyquée (HbA1c)", "Haemoglobin A1c", "Hemoglobina glucosilada (HbA1c)", "الهيموغلوبين السكري (HbA1c)"],
  "2160-0": ["Créatinine", "Creatinine", "Creatinina", "الكرياتينين"],
  "718-7": ["Hémoglobine", "Haemoglobin", "Hemoglobina", "الهيموغلوبين"],
  "6690-2": ["Leucocytes", "Leukocytes", "Leucocitos", "الكريات البيضاء"],
  "777-3": ["Plaquettes", "Platelets", "Plaquetas", "الصفائح الدموية"],
  "2951-2": ["Sodium", "Sodium", "Sodio", "الصوديوم"],
  "2823-3": ["Potassium", "Potassium", "Potasio", "البوتاسيوم"],
  "2093-3": ["Cholestérol total", "Total cholesterol", "Colesterol total", "الكوليسترول الكلي"],
  "1742-6": ["ALAT (transaminases)", "Alanine aminotransferase", "ALT (transaminasas)", "ناقلة أمين الألانين (ALAT)"],
  "1988-5": ["Protéine C réactive", "C-reactive protein", "Proteína C reactiva", "البروتين التفاعلي C"],
  "3016-3": ["TSH", "Thyrotropin (TSH)", "TSH", "الهرمون المنبّه للدرقية TSH"],
};

export const language = chosen();
const column = Object.keys(LANGUAGES).indexOf(language);
document.documentElement.lang = language;
document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
const theme = localStorage.getItem("salam-theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

/** A sentence, with {marks} filled. */
export function say(name, values = {}) {
  return ROWS[name][column].replace(/\{(\w+)\}/g, (_, mark) => values[mark]);
}

/** What a measure is called: by its LOINC code, else as the record has it. */
export function measureName(code, text) {
  return MEASURES[code]?.[column] || text;
}

/** A number with its decimal places as people of the language write it. */
export function number(value, places = null) {
  const digits = places === null ? Math.min(decimals(value), 3) : places;
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits, numberingSystem: "latn" };
  return new Intl.NumberFormat(LOCALES[language], form).format(value);
}

/** A day in full. */
export function day(at) {
  return new Intl.DateTimeFormat(LOCALES[language], { day: "numeric", month: "short", year: "numeric", numberingSystem: "latn" }).format(at);
}

/** A time of day. */
export function time(at) {
  return new Intl.DateTimeFormat(LOCALES[language], { hour: "2-digit", minute: "2-digit", numberingSystem: "latn" }).format(at);
}

/** An age given in days: days, then months, then years and months. */
export function ageText(days) {
  if (days < 61) return say("days", { n: days });
  const months = Math.floor(days / 30.4375);
  if (months < 24) return say("months", { n: months });
  const rest = months % 12;
  return say("years", { n: Math.floor(months / 12) }) + (rest && months < 228 ? ` ${say("months", { n: rest })}` : "");
}

/** The menu of languages. */
export function languageMenu(place) {
  place.setAttribute("aria-label", say("language"));
  place.replaceChildren(
    ...Object.entries(LANGUAGES).map(([code, name]) => {
      const link = Object.assign(document.createElement("button"), { type: "button", textContent: name, lang: code });
      link.dir = code === "ar" ? "rtl" : "ltr";
      if (code === language) link.setAttribute("aria-current", "true");
      link.addEventListener("click", () => {
        localStorage.setItem(KEPT, code);
        location.reload();
      });
      return link;
    }),
  );
}

function chosen() {
  const kept = localStorage.getItem(KEPT) || "";
  const wanted = [kept, ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((code) => code in LANGUAGES) || "fr";
}

function decimals(value) {
  return (String(value).split(".")[1] || "").length;
}
