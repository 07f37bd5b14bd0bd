"""Names and places of the invented people of the demo. Nobody here exists."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where people live: a city or quarter with its region and postal code."""

    city: str
    state: str
    postal_code: str


@dataclass(frozen=True, slots=True)
class Country:
    """What differs between the countries people come from. `languages`: what they speak, the first most often; `phone`:
    prefix of a mobile number and how many digits follow."""

    code: str
    languages: tuple[str, ...]
    phone: tuple[str, int]
    identifier_system: str
    identifier_digits: tuple[str, int]
    places: tuple[Place, ...]
    streets: tuple[str, ...]
    families: tuple[str, ...]
    women: tuple[str, ...]
    men: tuple[str, ...]


# The same name as the family writes it at home; shown beside the Latin form.
_FAMILIES = {
    "El Amrani": "العمراني", "Benjelloun": "بنجلون", "Bennani": "بناني", "Tazi": "التازي", "Cherkaoui": "الشرقاوي",
    "Alaoui": "العلوي", "Berrada": "برادة", "El Fassi": "الفاسي", "Ouazzani": "الوزاني", "Naciri": "الناصري",
    "El Idrissi": "الإدريسي", "Lahlou": "لحلو", "Bensouda": "بنسودة", "Kettani": "الكتاني", "Chraibi": "الشرايبي",
    "Filali": "الفيلالي", "Mansouri": "المنصوري", "Bouzidi": "البوزيدي", "Haddad": "الحداد", "Sebti": "السبتي",
    "Guessous": "جسوس", "Skalli": "الصقلي", "Ziani": "الزياني", "Rami": "الرامي", "Slaoui": "السلاوي",
}  # fmt: skip
_WOMEN = {
    "Fatima Zahra": "فاطمة الزهراء", "Khadija": "خديجة", "Salma": "سلمى", "Imane": "إيمان", "Houda": "هدى",
    "Meryem": "مريم", "Aïcha": "عائشة", "Zineb": "زينب", "Hajar": "هاجر", "Sanaa": "سناء", "Naïma": "نعيمة",
    "Ghizlane": "غزلان", "Loubna": "لبنى", "Asmae": "أسماء", "Rajae": "رجاء", "Samira": "سميرة", "Hanane": "حنان",
    "Nour": "نور", "Btissam": "ابتسام", "Yasmine": "ياسمين",
}  # fmt: skip
_MEN = {
    "Mohammed": "محمد", "Youssef": "يوسف", "Hamza": "حمزة", "Omar": "عمر", "Mehdi": "مهدي", "Rachid": "رشيد",
    "Anas": "أنس", "Ismaïl": "إسماعيل", "Abdellah": "عبد الله", "Karim": "كريم", "Hassan": "حسن", "Driss": "إدريس",
    "Nabil": "نبيل", "Said": "سعيد", "Brahim": "إبراهيم", "Adil": "عادل", "Khalid": "خالد", "Amine": "أمين",
    "Mustapha": "مصطفى", "Reda": "رضا",
}  # fmt: skip
ARABIC = {**_FAMILIES, **_WOMEN, **_MEN}

MOROCCO = Country(
    "MA", ("ar-MA", "fr-MA", "ar-MA", "es-MA"), ("+2126", 8), "urn:oid:2.16.504.1.113883.4.1", ("BK", 6),
    (
        Place("Casablanca", "Casablanca-Settat", "20250"),
        Place("Casablanca", "Casablanca-Settat", "20100"),
        Place("Mohammedia", "Casablanca-Settat", "28800"),
        Place("Bouskoura", "Casablanca-Settat", "27182"),
    ),
    ("Rue Ibn Batouta", "Boulevard Mohammed V", "Avenue Hassan II", "Rue des Orangers", "Derb Lalla Fatna"),
    tuple(_FAMILIES), tuple(_WOMEN), tuple(_MEN),
)  # fmt: skip

SENEGAL = Country(
    "SN", ("fr-SN", "wo-SN"), ("+22177", 7), "urn:oid:2.16.686.1.113883.4.1", ("1", 12),
    (Place("Casablanca", "Casablanca-Settat", "20250"), Place("Dakar", "Dakar", "11000"),
     Place("Thiès", "Thiès", "21000")),
    ("Rue Félix Faure", "Avenue Cheikh Anta Diop", "Rue de Thiong", "Avenue Blaise Diagne", "Route de la Corniche"),
    ("Diop", "Ndiaye", "Fall", "Sow", "Ba", "Gueye", "Faye", "Sarr", "Diallo", "Mbaye", "Cissé", "Seck", "Thiam",
     "Diouf", "Camara", "Sy", "Niang", "Kane", "Wade", "Touré"),
    ("Aminata", "Awa", "Fatou", "Mariama", "Ndèye", "Coumba", "Khady", "Sokhna", "Astou", "Bineta", "Dieynaba",
     "Rokhaya", "Yacine", "Adja", "Marème", "Oumou"),
    ("Mamadou", "Ousmane", "Ibrahima", "Cheikh", "Moussa", "Abdoulaye", "Modou", "Pape", "Alioune", "Babacar",
     "Serigne", "Malick", "Lamine", "Boubacar", "Amadou", "Samba"),
)  # fmt: skip

# Three of four patients are Moroccan.
COUNTRIES = (MOROCCO, MOROCCO, MOROCCO, SENEGAL)
