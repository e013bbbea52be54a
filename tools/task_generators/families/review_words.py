"""The words of the family `reviews`: subjects and predicates by aspect."""


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


SUBJECTS = {
    "food": lines("""
        the pizza
        the curry
        the lasagne
        the fish
        the chicken
        the lamb
        the steak
        the risotto
        the salad
        the omelette
        the cheesecake
        the apple pie
        the burger
        the pasta
        the roast beef
        the vegetable stew
        the salmon
        the goulash
        the paella
        the duck
        the mushroom tart
        the potato gratin
        the chocolate cake
        the meatloaf
        the moussaka
        the club sandwich
        the trout
        the bread pudding
    """),
    "staff": lines("""
        the waiter
        the waitress
        the receptionist
        the manager
        the porter
        the barman
        the hostess
        the cleaner
        the concierge
        the cashier
        the owner
        the night porter
        the head waiter
        the young waiter
        the tour guide
        the driver
        the housekeeper
        the doorman
        the lifeguard
        the gardener
        the woman at the desk
        the man behind the bar
        the assistant
        the maid
        the sommelier
        the caretaker
        the ski instructor
        the landlady
    """),
    "price": lines("""
        the bill
        the price
        the room rate
        the final bill
        the entrance fee
        the service charge
        the deposit
        the cover charge
        the set price
        the weekend rate
        the parking fee
        the nightly rate
        the price of breakfast
        the cost of the tour
        the total
        the surcharge
        the price per night
        the charge for parking
        the half-board rate
        the booking fee
        the price of the menu
        the rental fee
        the cleaning fee
        the family rate
        the cost of dinner
        the late fee
        the winter rate
        the price of the ticket
    """),
    "place": lines("""
        the room
        the lobby
        the café
        the garden room
        the dining room
        the bathroom
        the ballroom
        the games room
        the hallway
        the bar
        the lounge
        the sitting room
        the top-floor flat
        the breakfast room
        the bedroom
        the suite
        the entrance hall
        the reading room
        the gym
        the guest room
        the spa
        the music room
        the conservatory
        the family room
        the corner room
        the studio
        the winter garden
        the conference room
    """),
}

POSITIVE = {
    "food": lines("""
        was delicious
        tasted wonderful
        was full of flavour
        was fresh and tasty
        was done to perfection
        was the best I have had in years
        won us over at the first bite
        deserved a second helping
        was a joy to eat
        tasted just right
        had a lovely taste
        left us asking for more
        was not bad at all
        did not disappoint
        was anything but bland
        smelled heavenly
        was beautifully made
        was worth every calorie
        made the evening special
        was simple but excellent
        was as good as my mother's
        got praise from the whole table
        was a real comfort
        could not have been better
    """),
    "staff": lines("""
        was friendly and helpful
        greeted us with a smile
        answered every question patiently
        could not have been kinder
        went out of the way to help us
        was quick and polite
        remembered our names
        made us feel at home
        was a real professional
        gave us excellent advice
        solved our problem in minutes
        was attentive without being pushy
        was never too busy to help
        had a great sense of humour
        treated us like old friends
        was wonderful with our children
        deserves a medal
        was charming from start to finish
        took great care of us
        was not rude at all
        kindly stayed late for us
        was a pleasure to talk to
        listened carefully to our wishes
        apologised and put things right at once
    """),
    "price": lines("""
        was very fair
        was lower than we expected
        seemed very reasonable
        was a pleasant surprise
        was a real bargain
        was worth every penny
        was great value for money
        did not break the bank
        was not too high at all
        was honest and clear
        was surprisingly low
        was more than fair
        was hard to beat
        made us smile
        was kind to our wallet
        felt right for what we got
        was the best deal in town
        was much better than elsewhere
        was cheap for such quality
        left us pleasantly surprised
        was a steal
        was easy to afford
        was anything but excessive
        could not have been fairer
    """),
    "place": lines("""
        was bright and spotless
        was beautifully decorated
        was cosy and warm
        had a wonderful atmosphere
        was clean and quiet
        felt like a palace
        was bigger than we hoped
        had a stunning view
        was a lovely spot to relax
        smelled fresh and clean
        was peaceful and charming
        was even nicer than in the photos
        was anything but shabby
        was not noisy at all
        was tastefully furnished
        was a pleasure to spend time in
        was kept perfectly clean
        was delightful in every way
        took our breath away
        could not have been cleaner
        was modern and very comfortable
        was full of light and charm
        was exactly what we had dreamed of
        was pleasantly cool in the heat
    """),
}

NEGATIVE = {
    "food": lines("""
        was stale and unpleasant
        tasted of nothing
        was dry and dull
        was badly prepared
        was a great disappointment
        was not fresh at all
        was far from tasty
        was anything but appetising
        was the worst I have ever had
        looked sad and tasted worse
        made me feel sick
        was bland and soggy
        smelled strange
        went back to the kitchen untouched
        was as dull as cardboard
        was beyond saving
        was hardly edible
        had an unpleasant aftertaste
        was a sorry sight on the plate
        had a rubbery texture
        left us hungry and annoyed
        was tasteless
        did not deserve its name
        sat in the stomach like a stone
    """),
    "staff": lines("""
        was rude and impatient
        ignored us for half an hour
        never once smiled
        could not have cared less
        got our order wrong twice
        was slow and careless
        sighed at every question
        shouted at a guest
        was not helpful at all
        treated us like a nuisance
        was anything but polite
        forgot about us completely
        made us feel unwelcome
        lied to us about the booking
        was arrogant from the start
        argued with us in front of everyone
        had no idea what to do
        was too busy chatting to help
        kept us waiting without a word
        refused to listen
        was unfriendly to our children
        lost our keys and blamed us
        was far from professional
        did not even say hello
    """),
    "price": lines("""
        was far too high
        came as a nasty shock
        was simply outrageous
        was not worth it
        was a complete rip-off
        was much higher than agreed
        was way over the top
        ruined our budget
        was hard to justify
        felt like robbery
        was absurd for such poor quality
        left a bitter taste
        was anything but fair
        was not reasonable at all
        was double what it should be
        made us angry
        was full of hidden extras
        was a bad joke
        was terribly steep
        was far from a bargain
        put us off coming back
        was plainly too much
        was shockingly high
        was a waste of money
    """),
    "place": lines("""
        was dark and dirty
        smelled of damp
        was cramped and stuffy
        was cold and badly lit
        was not clean at all
        was far too noisy to relax in
        had ugly stains everywhere
        was in terrible condition
        was full of dust
        looked nothing like the photos
        was anything but cosy
        was shabby and depressing
        had mould in the corners
        felt like a prison cell
        was unbearably hot
        was far from comfortable
        was falling apart
        was ugly and run down
        was crawling with ants
        was a gloomy, joyless box
        was never cleaned during our stay
        was tiny and smelled of smoke
        made us want to leave at once
        gave us the creeps
    """),
}

FACTS = {
    "food": lines("""
        came with a green napkin
        was served on a blue plate
        was brought on a tray
        arrived after ten minutes
        was on page two of the menu
        was on the lunch menu
        was served at noon
        was only sold on Fridays
        stood at the bottom of the menu
        was made with olive oil
        came with a glass of water
        was number twelve on the menu
        was brought to the table by two waiters
        came with a fork and a spoon
        was made for two
        came from the kitchen at eight
        was also sold as a half portion
        was marked with a red star on the menu
        was named after a town in the north
        was prepared by two cooks
    """),
    "staff": lines("""
        spoke French and German
        wore a blue shirt
        worked from six to two
        came from Portugal
        had started in May
        stood next to the door
        carried two suitcases upstairs
        wrote the order on a notepad
        wore a name badge
        gave us a map of the town
        handed us the key at four
        asked for our passports
        had worked there for nine years
        was in the building until midnight
        brought the menu in English
        put the letters on the counter
        switched the lights on at six
        made a copy of the form
        lived across the street
        opened the door at seven
    """),
    "price": lines("""
        was paid on arrival
        was printed on blue paper
        covered two people
        was the same for children
        was given in euros
        was listed on the website
        was charged to our card
        included all taxes
        was due before noon
        was sent to us by email
        was collected at the door
        was written on a board outside
        was shared by four people
        was shown in two currencies
        was paid in cash
        went up by three euros
        was rounded to the nearest euro
        was the same on weekdays
        was taken from our account on Monday
        was stated in the contract
    """),
    "place": lines("""
        had two windows
        faced north
        was renovated in 2012
        had a wooden floor
        measured about forty square metres
        was locked when we arrived
        had a white ceiling
        was next to the lift
        had two doors
        was painted green
        was built in 1987
        had a door to the street
        was cleaned at ten every day
        had a clock on the wall
        was on the left of the stairs
        was shown on the floor plan
        had three lamps and a mirror
        had a fire alarm
        looked out on a car park
        was behind the main building
    """),
}

# Good or bad news, but also something that one could have checked: left out where facts and opinions are told apart.
CHECKABLE = set(
    lines("""
        got praise from the whole table
        went back to the kitchen untouched
        remembered our names
        gave us excellent advice
        solved our problem in minutes
        kindly stayed late for us
        greeted us with a smile
        apologised and put things right at once
        answered every question patiently
        ignored us for half an hour
        never once smiled
        got our order wrong twice
        sighed at every question
        shouted at a guest
        forgot about us completely
        lied to us about the booking
        argued with us in front of everyone
        kept us waiting without a word
        refused to listen
        lost our keys and blamed us
        did not even say hello
        was lower than we expected
        was much higher than agreed
        was double what it should be
        was full of hidden extras
        was much better than elsewhere
        was kept perfectly clean
        smelled of damp
        had ugly stains everywhere
        was full of dust
        had mould in the corners
        was crawling with ants
        was never cleaned during our stay
        was tiny and smelled of smoke
        was bigger than we hoped
    """)
)
