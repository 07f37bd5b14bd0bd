"""Names and places of the invented people of the demo. Nobody here exists."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A city with its region, postal code and the centre's coordinates."""

    city: str
    state: str
    postal_code: str
    latitude: str
    longitude: str


@dataclass(frozen=True, slots=True)
class Country:
    """What differs between the countries of the demo. `phone`: prefix of a mobile number and how many digits follow."""

    code: str
    name: str
    language: str
    phone: tuple[str, int]
    identifier_system: str
    identifier_digits: tuple[str, int]
    places: tuple[Place, ...]
    streets: tuple[str, ...]
    families: tuple[str, ...]
    women: tuple[str, ...]
    men: tuple[str, ...]


MOROCCO = Country(
    "MA", "Maroc", "ar-MA", ("+2126", 8), "urn:oid:2.16.504.1.113883.4.1", ("BK", 6),
    (
        Place("Casablanca", "Casablanca-Settat", "20250", "33.5731", "-7.5898"),
        Place("Rabat", "Rabat-Salé-Kénitra", "10000", "34.0209", "-6.8416"),
        Place("Marrakech", "Marrakech-Safi", "40000", "31.6295", "-7.9811"),
        Place("Fès", "Fès-Meknès", "30000", "34.0331", "-5.0003"),
    ),
    ("Rue Ibn Batouta", "Boulevard Mohammed V", "Avenue Hassan II", "Rue des Orangers", "Derb Lalla Fatna"),
    ("El Amrani", "Benjelloun", "Bennani", "Tazi", "Cherkaoui", "Alaoui", "Berrada", "El Fassi", "Ouazzani", "Naciri"),
    ("Fatima Zahra", "Khadija", "Salma", "Imane", "Houda", "Meryem", "Aïcha", "Zineb"),
    ("Mohammed", "Youssef", "Hamza", "Omar", "Mehdi", "Rachid", "Anas", "Ismaïl"),
)  # fmt: skip

SENEGAL = Country(
    "SN", "Sénégal", "fr-SN", ("+22177", 7), "urn:oid:2.16.686.1.113883.4.1", ("1", 12),
    (
        Place("Dakar", "Dakar", "11000", "14.7167", "-17.4677"),
        Place("Thiès", "Thiès", "21000", "14.7910", "-16.9359"),
        Place("Saint-Louis", "Saint-Louis", "32000", "16.0326", "-16.4818"),
        Place("Ziguinchor", "Ziguinchor", "27000", "12.5833", "-16.2719"),
    ),
    ("Rue Félix Faure", "Avenue Cheikh Anta Diop", "Rue de Thiong", "Avenue Blaise Diagne", "Route de la Corniche"),
    ("Diop", "Ndiaye", "Fall", "Sow", "Ba", "Gueye", "Faye", "Sarr", "Diallo", "Mbaye"),
    ("Aminata", "Awa", "Fatou", "Mariama", "Ndèye", "Coumba", "Khady", "Sokhna"),
    ("Mamadou", "Ousmane", "Ibrahima", "Cheikh", "Moussa", "Abdoulaye", "Modou", "Pape"),
)  # fmt: skip

FRANCE = Country(
    "FR", "France", "fr-FR", ("+336", 8), "urn:oid:1.2.250.1.213.1.4.8", ("2", 14),
    (
        Place("Lyon", "Auvergne-Rhône-Alpes", "69003", "45.7640", "4.8357"),
        Place("Marseille", "Provence-Alpes-Côte d'Azur", "13001", "43.2965", "5.3698"),
        Place("Nantes", "Pays de la Loire", "44000", "47.2184", "-1.5536"),
        Place("Strasbourg", "Grand Est", "67000", "48.5734", "7.7521"),
    ),
    ("Rue de la République", "Rue Victor Hugo", "Avenue Jean Jaurès", "Place Bellecour", "Rue des Lilas"),
    ("Martin", "Bernard", "Lefèvre", "Moreau", "Garnier", "Girard", "Mercier", "Noël", "Chevalier", "Fontaine"),
    ("Camille", "Léa", "Chloé", "Manon", "Hélène", "Sophie", "Zoé", "Inès"),
    ("Lucas", "Hugo", "Théo", "Étienne", "Antoine", "Nicolas", "Jérôme", "François"),
)  # fmt: skip

COUNTRIES = (MOROCCO, SENEGAL, FRANCE)

# The same name as the family writes it at home; shown beside the Latin form.
ARABIC = {
    "Fatima Zahra": "فاطمة الزهراء", "Khadija": "خديجة", "Salma": "سلمى", "Imane": "إيمان", "Houda": "هدى",
    "Meryem": "مريم", "Aïcha": "عائشة", "Zineb": "زينب", "Mohammed": "محمد", "Youssef": "يوسف", "Hamza": "حمزة",
    "Omar": "عمر", "Mehdi": "مهدي", "Rachid": "رشيد", "Anas": "أنس", "Ismaïl": "إسماعيل", "El Amrani": "العمراني",
    "Benjelloun": "بنجلون", "Bennani": "بناني", "Tazi": "التازي", "Cherkaoui": "الشرقاوي", "Alaoui": "العلوي",
    "Berrada": "برادة", "El Fassi": "الفاسي", "Ouazzani": "الوزاني", "Naciri": "الناصري",
}  # fmt: skip
